import Wire

/// A node's non-volatile memory: NOR flash, mapped for reading, programmed in place and erased
/// by the page.
///
/// Erased bytes are 0xFF and programming can only clear bits. Both take virtual time, and a
/// power cut in the middle leaves a programmed prefix or a page of garbage. No output that a
/// node gives after a write leaves before the write is done.
public struct FlashGeometry: Sendable, Equatable {
    /// Bytes in all; a whole number of pages.
    public var size: Int
    /// Bytes that one erase clears.
    public var pageSize: Int
    /// assumption: a serial NOR part's typical times; `flash.program` and `flash.erase` of the
    /// device profile change them.
    public var programPerByte: Interval
    public var erasePage: Interval

    public init(
        size: Int, pageSize: Int = 4096, programPerByte: Interval = .microseconds(3),
        erasePage: Interval = .milliseconds(45)
    ) {
        precondition(size > 0 && size % pageSize == 0)
        self.size = size
        self.pageSize = pageSize
        self.programPerByte = programPerByte
        self.erasePage = erasePage
    }
}

/// Read access to a node's flash, valid while the node handles an input.
public struct FlashView: @unchecked Sendable {
    @usableFromInline let base: UnsafeRawBufferPointer?
    public let geometry: FlashGeometry

    /// `base` must stay valid and of `geometry.size` bytes while the view is in use.
    public init(base: UnsafeRawBufferPointer?, geometry: FlashGeometry) {
        self.base = base
        self.geometry = geometry
    }

    /// Byte `address`; 0xFF outside the part.
    @inlinable
    public subscript(address: Int) -> UInt8 {
        guard let base, address >= 0, address < base.count else { return 0xFF }
        return base[address]
    }

    /// `count` bytes from `address`; what lies outside the part reads as erased.
    public func read(_ address: Int, count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            buffer.initialize(repeating: 0xFF)
            let (from, to) = (max(address, 0), min(address + count, base?.count ?? 0))
            if let base, from < to {
                let target = UnsafeMutableBufferPointer(rebasing: buffer[(from - address)...])
                UnsafeMutableRawBufferPointer(target).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: base[from..<to]))
            }
            filled = count
        }
    }

    /// Appends `count` bytes from `address` to a frame.
    @inlinable
    public func append(_ address: Int, count: Int, to frame: inout FrameBuffer) {
        if let base, count > 0, address >= 0, address <= base.count - count {
            frame.append(UnsafeRawBufferPointer(rebasing: base[address..<address + count]))
        } else {
            for index in 0..<max(0, count) { frame.append(self[address + index]) }
        }
    }
}
