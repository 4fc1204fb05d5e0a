import Wire

/// The fields that air messages are made of, beside plain numbers. Each throws a `WireError` that
/// names it and where it begins.
extension ByteReader {
    mutating func i8(_ field: StaticString) throws(WireError) -> Int8 {
        Int8(bitPattern: try u8(field))
    }

    /// 0 or 1.
    mutating func flag(_ field: StaticString) throws(WireError) -> Bool {
        let start = offset
        let value = try u8(field)
        guard value <= 1 else { throw WireError(.invalid, field, at: start) }
        return value == 1
    }

    /// A byte in which only the bits of `known` may be set.
    mutating func flags(_ field: StaticString, known: UInt8) throws(WireError) -> UInt8 {
        let start = offset
        let value = try u8(field)
        guard value & ~known == 0 else { throw WireError(.invalid, field, at: start) }
        return value
    }

    /// Microseconds since the run's start, or never; not negative.
    mutating func time(_ field: StaticString) throws(WireError) -> Instant {
        let start = offset
        let value = Int64(bitPattern: try u64(field))
        guard value >= 0 else { throw WireError(.invalid, field, at: start) }
        return Instant(microseconds: value)
    }

    /// A time that has come or will: not never.
    mutating func knownTime(_ field: StaticString) throws(WireError) -> Instant {
        let start = offset
        let value = try time(field)
        guard value != .distantFuture else { throw WireError(.invalid, field, at: start) }
        return value
    }

    /// Microseconds, of zero to `limit`.
    mutating func duration(_ field: StaticString, limit: Interval) throws(WireError) -> Interval {
        let start = offset
        let value = Interval(microseconds: Int64(bitPattern: try u64(field)))
        guard value >= .zero, value <= limit else { throw WireError(.invalid, field, at: start) }
        return value
    }

    /// A channel of the 2.4 GHz band: 11 to 26.
    mutating func channel(_ field: StaticString) throws(WireError) -> UInt8 {
        let start = offset
        let value = try u8(field)
        guard (11...26).contains(value) else { throw WireError(.invalid, field, at: start) }
        return value
    }

    /// A count of things that take `size` bytes each at least: no more than `limit`, and no more
    /// than the bytes that are left can hold.
    mutating func count(
        _ field: StaticString, of size: Int, limit: Int
    ) throws(WireError) -> Int {
        let start = offset
        let value = Int(try u16(field))
        guard value <= limit else { throw WireError(.invalid, field, at: start) }
        guard remaining / size >= value else { throw WireError(.truncated, field, at: offset) }
        return value
    }

    /// `bytes8`: the length as u8, then so many bytes of a frame.
    mutating func psdu(_ field: StaticString, limit: Int) throws(WireError) -> FrameBuffer {
        let start = offset
        let count = Int(try u8(field))
        guard count <= limit else { throw WireError(.invalid, field, at: start) }
        return FrameBuffer(copying: try take(count, field))
    }

    mutating func digest(_ field: StaticString) throws(WireError) -> Digest256 {
        guard remaining >= 32 else { throw WireError(.truncated, field, at: offset) }
        let first = try u64(field).byteSwapped
        let second = try u64(field).byteSwapped
        let third = try u64(field).byteSwapped
        return Digest256(words: (first, second, third, try u64(field).byteSwapped))
    }

    /// `text`: the length as u16, then UTF-8 without control characters.
    mutating func text(_ field: StaticString) throws(WireError) -> String {
        try text(Int(try u16(field)), field)
    }

    /// `text8`: the length as u8, then UTF-8 without control characters.
    mutating func text8(_ field: StaticString) throws(WireError) -> String {
        try text(Int(try u8(field)), field)
    }

    private mutating func text(
        _ count: Int, _ field: StaticString
    ) throws(WireError) -> String {
        let start = offset
        let bytes = try take(count, field)
        let text = bytes.withUnsafeBufferPointer { String(validating: $0, as: UTF8.self) }
        guard let text, !text.unicodeScalars.contains(where: \.isControl) else {
            throw WireError(.invalid, field, at: start)
        }
        return text
    }

    /// A value of an enumeration.
    mutating func code<Code: RawRepresentable>(
        _ type: Code.Type, _ field: StaticString
    ) throws(WireError) -> Code where Code.RawValue == UInt8 {
        let start = offset
        guard let code = Code(rawValue: try u8(field)) else {
            throw WireError(.invalid, field, at: start)
        }
        return code
    }

    /// The kind of an event, its count and its values; those left out at the end are 0.
    mutating func event(time: Instant, node: UInt16) throws(WireError) -> EventRecord {
        var record = EventRecord(time: time, node: node, kind: try eventKind())
        let start = offset
        let count = Int(try u8("event count"))
        guard count <= 6 else { throw WireError(.invalid, "event count", at: start) }
        for index in 0..<count {
            let place = offset
            record.values[index] = try u64("event value")
            guard index < count - 1 || record.values[index] != 0 else {
                throw WireError(.invalid, "event value", at: place)
            }
        }
        return record
    }

    mutating func eventKind() throws(WireError) -> EventKind {
        let start = offset
        guard let kind = EventKind(rawValue: try u16("event kind")) else {
            throw WireError(.invalid, "event kind", at: start)
        }
        return kind
    }
}

extension MessageBuilder {
    /// As `ByteReader.event` reads it.
    mutating func put(_ event: EventRecord) {
        put(event.kind.rawValue)
        var count = 6
        while count > 0, event.values[count - 1] == 0 { count -= 1 }
        put(UInt8(count))
        for index in 0..<count { put(event.values[index]) }
    }
}
