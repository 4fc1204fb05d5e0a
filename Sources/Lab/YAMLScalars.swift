import Wire
import Yams

/// The typed readers of single values.
extension YAMLField {
    /// Any scalar as the text that stands in the file, quotes removed; not empty.
    public func text() throws(YAMLError) -> String {
        guard case .scalar(let scalar) = node, !isNull else { throw expected("text") }
        guard !scalar.string.isEmpty else { throw error("expected text, found none") }
        return scalar.string
    }

    /// `true` or `false`. YAML 1.1's `yes` and `on` are refused, so that nobody has to know them.
    public func boolean() throws(YAMLError) -> Bool {
        switch try scalar("true or false") {
        case "true": return true
        case "false": return false
        default: throw expected("true or false")
        }
    }

    /// A whole number, decimal or hexadecimal (`0x1F`), `_` between digits allowed.
    ///
    /// `range` defaults to all that `T` holds.
    public func integer<T: FixedWidthInteger>(
        _ type: T.Type = T.self, in range: ClosedRange<T>? = nil
    ) throws(YAMLError) -> T {
        let range = range ?? T.min...T.max
        let what = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let value = Numeral.parse(try scalar(what)), let exact = T(exactly: value),
            range.contains(exact)
        else { throw expected(what) }
        return exact
    }

    /// A number with or without a decimal point, within `range`.
    public func number(in range: ClosedRange<Double>) throws(YAMLError) -> Double {
        let what = "a number from \(range.lowerBound) to \(range.upperBound)"
        let text = try scalar(what)
        // Double's own parser also takes hexadecimal floats, "nan" and "inf".
        guard text.utf8.allSatisfy({ "0123456789.+-eE".utf8.contains($0) }),
            let value = Double(text), range.contains(value)
        else { throw expected(what) }
        return value
    }

    /// A length of time with its unit: `250 ms`, `7.68 s`, `30 min`, `24 h`, `90 d`; also `us`.
    /// A bare number is refused, because its unit would be a guess.
    public func duration(
        in range: ClosedRange<Interval> = .zero...Interval(microseconds: .max)
    ) throws(YAMLError) -> Interval {
        let what = "a duration such as '250 ms', '2 s', '30 min', '24 h' or '90 d'"
        guard let value = Self.duration(try scalar(what)) else { throw expected(what) }
        guard range.contains(value) else {
            throw error(
                "is outside its range: expected \(range.lowerBound.inSeconds) s to "
                    + "\(range.upperBound.inSeconds) s, found \(found)")
        }
        return value
    }

    /// A moment in UTC, `2026-01-31T12:00:00Z`, from 2000 to early 2136 (ZCL's UTCTime).
    public func date() throws(YAMLError) -> UTCTime {
        let what = "a moment such as '2026-01-31T12:00:00Z', from 2000-01-01 to 2136-02-07"
        guard let value = Self.date(try scalar(what)) else { throw expected(what) }
        return value
    }

    /// An EUI-64 of sixteen hex digits, also with `-` or `:` between bytes.
    ///
    /// YAML takes a value of decimal digits for a number, but this reads the digits as they stand.
    public func eui64() throws(YAMLError) -> EUI64 {
        let what = "an EUI-64 of 16 hex digits"
        guard let value = EUI64(try scalar(what)) else { throw expected(what) }
        return value
    }

    /// Hex digits, two a byte; `count` bytes if given.
    public func hexBytes(count: Int? = nil) throws(YAMLError) -> [UInt8] {
        let what = count.map { "\($0 * 2) hex digits" } ?? "an even number of hex digits"
        guard let bytes = Hex.bytes(try scalar(what)), !bytes.isEmpty,
            count == nil || bytes.count == count
        else { throw expected(what) }
        return bytes
    }

    /// One word of a closed list, with the value it stands for.
    public func choice<T>(of words: [(word: String, value: T)]) throws(YAMLError) -> T {
        let all = words.map(\.word)
        let what = "one of " + all.joined(separator: ", ")
        let text = try scalar(what)
        if let match = words.first(where: { $0.word == text }) { return match.value }
        var message = "expected \(what), found \(found)"
        if let near = Suggestion.nearest(to: text, among: all) {
            message += "; did you mean '\(near)'?"
        }
        throw error(message)
    }

    /// One case of an enum with text for raw values.
    public func choice<T: RawRepresentable & CaseIterable>(
        _ type: T.Type = T.self
    ) throws(YAMLError) -> T where T.RawValue == String {
        try choice(of: T.allCases.map { (word: $0.rawValue, value: $0) })
    }

    /// The scalar's text, for readers that say `what` they expected.
    private func scalar(_ what: String) throws(YAMLError) -> String {
        guard case .scalar(let scalar) = node, !isNull else { throw expected(what) }
        return scalar.string
    }

    private static let units: [(name: String, microseconds: Int64)] = [
        ("us", 1), ("µs", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000),
        ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]

    /// A decimal number and a unit, exact to the microsecond; nil for anything else.
    static func duration(_ text: String) -> Interval? {
        let number = text.prefix { $0.isASCII && ($0.isWholeNumber || $0 == ".") }
        let name = text.dropFirst(number.count).drop { $0 == " " }
        guard let unit = units.first(where: { $0.name == name }) else { return nil }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = Int64(parts[0]) else { return nil }
        var total = whole.multipliedReportingOverflow(by: unit.microseconds)
        guard !total.overflow else { return nil }
        if parts.count == 2 {
            // At most nine decimals keep the product within 64 bits.
            guard !parts[1].isEmpty, parts[1].count <= 9, let fraction = Int64(parts[1]) else {
                return nil
            }
            var scale: Int128 = 1
            for _ in parts[1] { scale *= 10 }
            let product = Int128(fraction) * Int128(unit.microseconds)
            guard product % scale == 0 else { return nil }
            total = total.partialValue.addingReportingOverflow(Int64(product / scale))
            guard !total.overflow else { return nil }
        }
        return Interval(microseconds: total.partialValue)
    }

    /// `YYYY-MM-DDThh:mm:ssZ` as seconds since 2000; nil for anything else.
    static func date(_ text: String) -> UTCTime? {
        let bytes = Array(text.utf8)
        let pattern = Array("0000-00-00T00:00:00Z".utf8)
        guard bytes.count == pattern.count else { return nil }
        for (byte, wanted) in zip(bytes, pattern) {
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            guard wanted == UInt8(ascii: "0") ? isDigit : byte == wanted else { return nil }
        }
        func number(_ range: Range<Int>) -> Int {
            bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        func isLeap(_ year: Int) -> Bool {
            year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        }
        var lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        if isLeap(year) { lengths[1] = 29 }
        guard (2000...2136).contains(year), (1...12).contains(month),
            (1...lengths[month - 1]).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var days = (2000..<year).reduce(0) { $0 + (isLeap($1) ? 366 : 365) }
        days += lengths[..<(month - 1)].reduce(0, +) + day - 1
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
        return UInt32(exactly: seconds).map { UTCTime(secondsSince2000: $0) }
    }
}
