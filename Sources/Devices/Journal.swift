import Radio
import Wire

/// Records in flash that are always the old or the new, never a mix.
///
/// Two areas of the same size take turns. An area begins with a header {magic u32, generation
/// u32, CRC-32 of the two}; records follow: {key u8, length u16, CRC-32 of key, length and bytes,
/// bytes}. The newest whole record of a key counts; a torn one, and whatever follows it, does
/// not. A full area is copied, newest records only, to the other one, whose header is written
/// last and so makes it valid in one step.
public struct Journal: Sendable {
    private static let magic: UInt32 = 0x4A4E_4148
    private static let headerSize = 12
    private static let recordOverhead = 7
    /// The longest record.
    public static let recordLimit = 4096

    private let start: Int
    private let pages: Int
    private let pageSize: Int
    private var active = 0
    private var generation: UInt32 = 0
    /// Where the next record goes, from the start of the active area; nil before `open`.
    private var tail: Int?
    /// The newest record of each key, in order of first appearance.
    private var records: [(key: UInt8, bytes: [UInt8])] = []
    /// One record as it is written or checked, kept for its memory.
    private var scratch: [UInt8] = []

    private var areaSize: Int { pages * pageSize }

    /// A journal of two areas of `pagesPerArea` pages from page `firstPage` on.
    public init(firstPage: Int, pagesPerArea: Int, geometry: FlashGeometry) {
        start = firstPage * geometry.pageSize
        pages = pagesPerArea
        pageSize = geometry.pageSize
    }

    /// Bytes of flash it takes.
    public var size: Int { 2 * areaSize }

    /// The newest bytes kept under `key`, or nil.
    public subscript(key: UInt8) -> [UInt8]? { records.first { $0.key == key }?.bytes }

    /// Reads what the flash holds. A part that was never written is a journal with no records.
    public mutating func open(_ out: inout Outbox) {
        records.removeAll()
        let flash = out.flash
        let generations = [generation(of: 0, flash), generation(of: 1, flash)]
        switch (generations[0], generations[1]) {
        case (nil, nil):
            format(&out)
            return
        case (let a?, let b?): active = b &- a < UInt32.max / 2 && b != a ? 1 : 0
        case (nil, _): active = 1
        case (_, nil): active = 0
        }
        generation = generations[active] ?? 0
        readRecords(flash)
    }

    private func base(of area: Int) -> Int { start + area * areaSize }

    private func generation(of area: Int, _ flash: FlashView) -> UInt32? {
        let bytes = flash.read(base(of: area), count: Self.headerSize)
        var reader = ByteReader(bytes.span)
        guard let magic = try? reader.u32("magic"), magic == Self.magic,
            let generation = try? reader.u32("generation"),
            let check = try? reader.u32("CRC"),
            check == CRC32.checksum(bytes.span.extracting(0..<8))
        else { return nil }
        return generation
    }

    private mutating func readRecords(_ flash: FlashView) {
        var offset = Self.headerSize
        let area = flash.read(base(of: active), count: areaSize)
        while offset + Self.recordOverhead <= areaSize {
            let key = area[offset]
            let length = Int(area[offset + 1]) | Int(area[offset + 2]) << 8
            if key == 0xFF, length == 0xFFFF { break }
            let end = offset + Self.recordOverhead + length
            guard length <= Self.recordLimit, end <= areaSize,
                check(area.span, at: offset, length: length) == Self.word(area, at: offset + 3)
            else {
                // Torn by a power cut: nothing can follow it here.
                tail = areaSize
                return
            }
            keep(key, Array(area[offset + Self.recordOverhead..<end]))
            offset = end
        }
        tail = offset
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    /// The check of the record whose {key, length, CRC, bytes} begin at `offset`.
    private mutating func check(_ area: Span<UInt8>, at offset: Int, length: Int) -> UInt32 {
        scratch.removeAll(keepingCapacity: true)
        for index in offset..<offset + 3 { scratch.append(area[index]) }
        let data = offset + Self.recordOverhead
        for index in data..<data + length { scratch.append(area[index]) }
        return CRC32.checksum(scratch.span)
    }

    private mutating func keep(_ key: UInt8, _ bytes: [UInt8]) {
        if let index = records.firstIndex(where: { $0.key == key }) {
            records[index].bytes = bytes
        } else {
            records.append((key, bytes))
        }
    }

    /// Keeps `bytes` under `key`, unless they are there already. False, with nothing changed, if
    /// they are too long, the journal's live records would not fit into one area, or the outbox
    /// has no room left for them.
    @discardableResult
    public mutating func write(_ key: UInt8, _ bytes: [UInt8], _ out: inout Outbox) -> Bool {
        guard let tail, bytes.count <= Self.recordLimit else { return false }
        if self[key] == bytes { return true }
        let needed = Self.recordOverhead + bytes.count
        if tail + needed <= areaSize {
            let lost = out.lost
            program(key, bytes, at: base(of: active) + tail, &out)
            guard out.lost == lost else { return false }
            keep(key, bytes)
            self.tail = tail + needed
            return true
        }
        let others = records.filter { $0.key != key }
        let live = others.reduce(Self.headerSize + needed) {
            $0 + Self.recordOverhead + $1.bytes.count
        }
        guard live <= areaSize else { return false }
        let before = self
        keep(key, bytes)
        guard compact(&out) else {
            self = before
            return false
        }
        return true
    }

    /// Copies the live records to the other area. False if the outbox could not take all of it:
    /// then that area has no header, and the old one counts still.
    private mutating func compact(_ out: inout Outbox) -> Bool {
        let lost = out.lost
        active = 1 - active
        generation &+= 1
        erase(&out)
        var offset = Self.headerSize
        for record in records {
            program(record.key, record.bytes, at: base(of: active) + offset, &out)
            offset += Self.recordOverhead + record.bytes.count
        }
        guard out.lost == lost else { return false }
        tail = offset
        programHeader(&out)
        return out.lost == lost
    }

    private mutating func format(_ out: inout Outbox) {
        active = 0
        generation = 1
        tail = Self.headerSize
        erase(&out)
        programHeader(&out)
    }

    private func erase(_ out: inout Outbox) {
        for page in 0..<pages { out.append(.erase(page: base(of: active) / pageSize + page)) }
    }

    private func programHeader(_ out: inout Outbox) {
        var header = ByteBuilder()
        header.put(UInt64(Self.magic), 4)
        header.put(UInt64(generation), 4)
        header.put(UInt64(CRC32.checksum(header.bytes.span)), 4)
        out.program(header.bytes.span, at: base(of: active))
    }

    private mutating func program(
        _ key: UInt8, _ bytes: [UInt8], at address: Int, _ out: inout Outbox
    ) {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(key)
        scratch.append(UInt8(truncatingIfNeeded: bytes.count))
        scratch.append(UInt8(truncatingIfNeeded: bytes.count >> 8))
        scratch.append(contentsOf: bytes)
        let check = CRC32.checksum(scratch.span)
        for place in 0..<4 {
            scratch.insert(UInt8(truncatingIfNeeded: check >> UInt32(8 * place)), at: 3 + place)
        }
        out.program(scratch.span, at: address)
    }
}
