/// The part of an image that an Image Page Request asked for, and which of its blocks are here.
struct PageWindow: Sendable {
    /// As many as the bits of `received`.
    static let blockLimit: UInt32 = 64

    private(set) var start: UInt32 = 0
    private(set) var end: UInt32 = 0
    private var blockSize: UInt32 = 1
    /// Bit n: block n has come.
    private var received: UInt64 = 0

    /// No page.
    init() {}

    init(from start: UInt32, count: UInt32, blockSize: UInt8) {
        self.start = start
        self.blockSize = max(1, UInt32(blockSize))
        end = start + min(count, Self.blockLimit * self.blockSize)
    }

    var isEmpty: Bool { received == 0 }

    /// The number of bytes of the block at `offset`, if one begins there and has not come yet.
    func missing(at offset: UInt32) -> UInt32? {
        guard offset >= start, offset < end, (offset - start) % blockSize == 0,
            received & bit(offset) == 0
        else { return nil }
        return min(blockSize, end - offset)
    }

    mutating func take(_ offset: UInt32) { received |= bit(offset) }

    /// The first offset from `offset` on that has not come.
    func firstMissing(from offset: UInt32) -> UInt32 {
        var offset = offset
        while offset >= start, offset < end, (offset - start) % blockSize == 0,
            received & bit(offset) != 0
        {
            offset = min(offset + blockSize, end)
        }
        return offset
    }

    private func bit(_ offset: UInt32) -> UInt64 { 1 << UInt64((offset - start) / blockSize) }
}
