import Radio
import Wire

/// Records in flash that are always the old or the new, never a mix.
///
/// Two areas of the same size take turns. An area begins with a header {magic u32, generation
/// u32, CRC-32 of the two}; records follow: {key u8, length u16, CRC-32 of key, length and bytes,
/// bytes}. The newest whole record of a key counts; one that a power cut has torn does not, and
/// of one that was spoilt later the one before it does, if need be from the other area. A full
/// area is copied, newest records only, to the other one, whose header is written last and so
/// makes it valid in one step. Then the header of the full area is marked: the last byte of its
/// magic becomes 0. So an area that is marked, beside one without a header, has lost a newer one,
/// and an area that is not has seen a power cut in the middle of copying, which loses nothing.
public struct Journal: Sendable {
    private static let magic: UInt32 = 0x4A4E_4148
    private static let headerSize = 12
    /// Where in the header the mark is.
    private static let markOffset = 3
    private static let recordOverhead = 7
    /// The longest record in bytes. The longest there is, a hub's network with 64 of everything and
    /// all the link keys that are put away, has 7,963.
    public static let recordLimit = 8192

    /// Pages of each area in which records of these lengths, in bytes, always have room, and as
    /// much again for what is written before the area is full.
    static func pagesPerArea(for lengths: [Int], pageSize: Int) -> Int {
        let live = lengths.reduce(headerSize) { $0 + recordOverhead + $1 }
        return (2 * live + pageSize - 1) / pageSize
    }

    private let start: Int
    private let pages: Int
    private let pageSize: Int
    private var active = 0
    private var generation: UInt32 = 0
    /// Where the next record goes, from the start of the active area; nil before `open`.
    private var tail: Int?
    /// The newest record of each key, in order of first appearance.
    private var records: [(key: UInt8, bytes: [UInt8])] = []

    /// Whether `open` found what is no whole record, torn by a power cut or spoilt since, or that
    /// the newest area's header is gone. Then the newest record of any key may be missing.
    public private(set) var isDamaged = false

    /// How many records of `length` bytes or more may be missing that were written after those that
    /// `open` has found: as many as both areas have room for, or none if nothing is damaged.
    public func missing(recordsOf length: Int) -> Int {
        isDamaged ? size / (Self.recordOverhead + length) : 0
    }

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

    /// Reads what the flash holds, and notes it if that is damaged. A part that was never written
    /// is a journal with no records.
    public mutating func open(_ out: inout Outbox) {
        records.removeAll()
        isDamaged = false
        let flash = out.flash
        let headers = [header(of: 0, flash), header(of: 1, flash)]
        switch (headers[0]?.generation, headers[1]?.generation) {
        case (nil, nil):
            isDamaged = flash.read(start, count: size).contains { $0 != 0xFF }
            if isDamaged { out.note(.flashDamaged, 0) }
            format(&out)
            return
        case (let a?, let b?): active = b &- a < UInt32.max / 2 && b != a ? 1 : 0
        case (nil, _): active = 1
        case (_, nil): active = 0
        }
        generation = headers[active]?.generation ?? 0
        let (newest, end) = readRecords(of: active, flash)
        let other = headers[1 - active]
        let hasLostHeader = headers[active]?.isMarked == true
        guard hasLostHeader || end == nil else {
            keep(newest)
            tail = end
            // Power was cut just before that.
            if let other, !other.isMarked { mark(1 - active, &out) }
            return
        }
        isDamaged = true
        out.note(.flashDamaged, 0)
        if other?.generation == generation &- 1 { keep(readRecords(of: 1 - active, flash).records) }
        keep(newest)
        if hasLostHeader, other == nil { keep(readRecords(of: 1 - active, flash).records) }
        // Nothing is written behind what is damaged.
        tail = areaSize
    }

    private func base(of area: Int) -> Int { start + area * areaSize }

    private func header(
        of area: Int, _ flash: FlashView
    ) -> (generation: UInt32, isMarked: Bool)? {
        let bytes = flash.read(base(of: area), count: Self.headerSize)
        let generation = Self.word(bytes, at: 4)
        // The mark is the only byte of it that may have changed.
        var written = Self.header(generation).bytes
        let isMarked = bytes[Self.markOffset] != written[Self.markOffset]
        written[Self.markOffset] = bytes[Self.markOffset]
        return bytes.elementsEqual(written) ? (generation, isMarked) : nil
    }

    private static func header(_ generation: UInt32) -> FrameBuffer {
        var header = FrameBuffer()
        header.append(magic)
        header.append(generation)
        header.append(CRC32.checksum(header.span))
        return header
    }

    /// The whole records of an area in the order in which they were written, and where the next one
    /// goes; nil if there is damage. What follows a damaged record is looked for.
    private func readRecords(
        of index: Int, _ flash: FlashView
    ) -> (records: [(key: UInt8, bytes: [UInt8])], tail: Int?) {
        var found: [(key: UInt8, bytes: [UInt8])] = []
        var isDamaged = false
        var offset = Self.headerSize
        // So that no bytes, however they are, make it a long search.
        var effort = 64 * areaSize
        let area = flash.read(base(of: index), count: areaSize)
        let written = (area.lastIndex { $0 != 0xFF } ?? 0) + 1
        while offset < written, effort > 0 {
            let start = offset + Self.recordOverhead
            let length =
                start <= areaSize ? Int(area[offset + 1]) | Int(area[offset + 2]) << 8 : .max
            let isRecord =
                length <= min(Self.recordLimit, areaSize - start)
                && Self.check(area[offset], area.span.extracting(start..<start + length))
                    == Self.word(area, at: offset + 3)
            guard isRecord else {
                isDamaged = true
                effort -= length <= Self.recordLimit ? length : 1
                offset += 1
                continue
            }
            found.append((area[offset], Array(area[start..<start + length])))
            offset = start + length
        }
        return (found, isDamaged ? nil : offset)
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    /// The first three fields of a record, which its CRC covers too.
    private static func head(_ key: UInt8, _ bytes: Span<UInt8>) -> FrameBuffer {
        var head = FrameBuffer()
        head.append(key)
        head.append(UInt16(truncatingIfNeeded: bytes.count))
        return head
    }

    private static func check(_ key: UInt8, _ bytes: Span<UInt8>) -> UInt32 {
        CRC32.checksum(head(key, bytes).span, bytes)
    }

    /// In place where it can be: a record that is written often allocates nothing.
    private mutating func keep(_ key: UInt8, _ bytes: Span<UInt8>) {
        let index = records.firstIndex { $0.key == key }
        if index == nil { records.append((key, [])) }
        let place = index ?? records.count - 1
        records[place].bytes.removeAll(keepingCapacity: true)
        bytes.withUnsafeBufferPointer { records[place].bytes.append(contentsOf: $0) }
    }

    private mutating func keep(_ found: [(key: UInt8, bytes: [UInt8])]) {
        for (key, bytes) in found { keep(key, bytes.span) }
    }

    private func holds(_ key: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard let index = records.firstIndex(where: { $0.key == key }),
            records[index].bytes.count == bytes.count
        else { return false }
        return bytes.indices.allSatisfy { records[index].bytes[$0] == bytes[$0] }
    }

    /// Keeps `bytes` under `key`, unless they are there already. False, with nothing changed, if
    /// they are too long, the journal's live records would not fit into one area, or the outbox
    /// has no room left for them: a loss like that of an output, which the outbox counts, because
    /// the node goes on as if it had been kept.
    @discardableResult
    public mutating func write(_ key: UInt8, _ bytes: [UInt8], _ out: inout Outbox) -> Bool {
        write(key, bytes.span, &out)
    }

    /// The same without an array.
    @discardableResult
    public mutating func write(_ key: UInt8, _ bytes: Span<UInt8>, _ out: inout Outbox) -> Bool {
        guard let tail, bytes.count <= Self.recordLimit else {
            out.countLoss()
            return false
        }
        if holds(key, bytes) { return true }
        let needed = Self.recordOverhead + bytes.count
        if tail + needed <= areaSize {
            let lost = out.lost
            program(key, bytes, at: base(of: active) + tail, &out)
            guard out.lost == lost else { return false }
            keep(key, bytes)
            self.tail = tail + needed
            return true
        }
        var live = Self.headerSize + needed
        for record in records where record.key != key {
            live += Self.recordOverhead + record.bytes.count
        }
        guard live <= areaSize else {
            out.countLoss()
            return false
        }
        let isNew = !records.contains { $0.key == key }
        // The header and the other area's mark are two more.
        let actions = pages + records.count + (isNew ? 1 : 0) + 2
        guard out.hasRoom(actions: actions, bytes: live + 1) else { return false }
        keep(key, bytes)
        compact(&out)
        return true
    }

    /// Copies the live records to the other area, for which the outbox must have room.
    private mutating func compact(_ out: inout Outbox) {
        active = 1 - active
        generation &+= 1
        erase(&out)
        var offset = Self.headerSize
        for record in records {
            program(record.key, record.bytes.span, at: base(of: active) + offset, &out)
            offset += Self.recordOverhead + record.bytes.count
        }
        tail = offset
        programHeader(&out)
        mark(1 - active, &out)
    }

    private mutating func format(_ out: inout Outbox) {
        active = 0
        generation = 1
        tail = Self.headerSize
        erase(&out)
        programHeader(&out)
    }

    private func erase(_ out: inout Outbox) {
        for page in 0..<pages { out.erase(page: base(of: active) / pageSize + page) }
    }

    private func programHeader(_ out: inout Outbox) {
        out.program(Self.header(generation).span, at: base(of: active))
    }

    /// The other area has all of this one's newest records.
    private func mark(_ area: Int, _ out: inout Outbox) {
        out.program([UInt8(0)].span, at: base(of: area) + Self.markOffset)
    }

    private func program(_ key: UInt8, _ bytes: Span<UInt8>, at address: Int, _ out: inout Outbox) {
        var head = Self.head(key, bytes)
        head.append(Self.check(key, bytes))
        out.program(head.span, bytes, at: address)
    }
}

extension Outbox {
    /// What a record of the journal says; nil if there is none, or none that makes sense, which is
    /// noted.
    mutating func reading<Value>(
        _ key: UInt8, of journal: Journal, _ parse: ([UInt8]) throws(WireError) -> Value
    ) -> Value? {
        guard let bytes = journal[key] else { return nil }
        do {
            return try parse(bytes)
        } catch {
            note(.flashDamaged, UInt64(key))
            return nil
        }
    }
}
