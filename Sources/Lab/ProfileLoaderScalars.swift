import Air
import GBCS
import Wire

/// Readers of single values that only profiles have.
extension YAMLField {
    /// A number of bytes: `4096`, `768 KiB`, `1 MiB`.
    func size(in range: ClosedRange<Int>) throws(YAMLError) -> Int {
        let what =
            "a size from \(ProfileText.size(range.lowerBound)) to "
            + "\(ProfileText.size(range.upperBound)), such as '4096' (bytes) or '768 KiB'"
        guard let value = ProfileText.parseSize(try word(what)), range.contains(value) else {
            throw expected(what)
        }
        return value
    }

    /// A share of frames: `2 %`, `0.5 %`, or a whole number per million.
    func perMillion() throws(YAMLError) -> UInt32 {
        let what = "a share such as '2 %', from 0 % to 100 %, or a whole number per million"
        guard let value = ProfileText.parsePerMillion(try word(what)) else { throw expected(what) }
        return value
    }

    /// Text that fits in one line of a table: at most 200 bytes, no control characters.
    func oneLine() throws(YAMLError) -> String { try plainText(limit: 200, as: "one line of text") }

    static let gbcsVersionType = "GBCS version"

    /// `4.0`, `3.2.1`: two to four numbers. YAML takes one for a number, but this reads the digits
    /// as they stand.
    func gbcsVersion() throws(YAMLError) -> String {
        let what = "a GBCS version such as '4.0'"
        let text = try word(what)
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (2...4).contains(parts.count),
            parts.allSatisfy({
                (1...4).contains($0.utf8.count)
                    && $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            })
        else { throw expected(what) }
        return text
    }

    /// The name or the path of a file.
    func reference() throws(YAMLError) -> String {
        try plainText(limit: 1_024, as: "a name or a path")
    }

    /// Text that ends up in messages and on terminals, so that it must not be able to steer them.
    private func plainText(limit: Int, as what: String) throws(YAMLError) -> String {
        let text = try word(what)
        guard text.utf8.count <= limit else {
            throw error("expected \(what) of at most \(limit) bytes, found \(text.utf8.count)")
        }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw error("expected \(what), found control characters in it")
        }
        return text
    }

    /// The scalar's text; anything else is an error that says `what` was expected.
    func word(_ what: String) throws(YAMLError) -> String {
        guard !isMap, !isList, !isNull else { throw expected(what) }
        return try text()
    }

    /// A name from a list, with the likely one where it is none of them.
    func name(
        among names: [String], as what: String, inFile place: String
    ) throws(YAMLError) -> String {
        let name = try word(what)
        guard !names.contains(name) else { return name }
        var message = "\(what) is called '\(Self.shortened(name))' in \(place)"
        if let near = Suggestion.nearest(to: name, among: names) {
            message += "; did you mean '\(near)'?"
        } else if names.isEmpty {
            message += ", which has none"
        } else {
            message += "; there are: \(Self.shortened(names, limit: 20))"
        }
        throw error("no \(message)")
    }

    /// The first `limit` names, and how many more there are.
    static func shortened(_ names: [String], limit: Int) -> String {
        let text = names.prefix(limit).map { shortened($0) }.joined(separator: ", ")
        return names.count > limit ? "\(text) and \(names.count - limit) more" : text
    }
}

/// How values of profiles are written, for messages and for the list of defaults.
enum ProfileText {
    /// The largest unit in which `interval` is a whole number: `30 min`, `7680 ms`.
    static func duration(_ interval: Interval) -> String {
        let units: [(Int64, String)] = [
            (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms"),
        ]
        for (unit, name) in units
        where interval.microseconds != 0 && interval.microseconds % unit == 0 {
            return "\(interval.microseconds / unit) \(name)"
        }
        return interval == .zero ? "0 s" : "\(interval.microseconds) us"
    }

    /// `768 KiB`, `1 MiB`, or the number of bytes.
    static func size(_ bytes: Int) -> String {
        for (unit, name) in [(1 << 20, "MiB"), (1 << 10, "KiB")]
        where bytes != 0 && bytes % unit == 0 { return "\(bytes / unit) \(name)" }
        return "\(bytes)"
    }

    /// `2 %`, `0.5 %`.
    static func percent(perMillion: UInt32) -> String {
        let (whole, rest) = perMillion.quotientAndRemainder(dividingBy: 10_000)
        guard rest > 0 else { return "\(whole) %" }
        var digits = String(String(10_000 + rest).dropFirst())
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits) %"
    }

    static func version(_ version: UInt32) -> String {
        "0x" + Hex.string(UInt64(version), digits: 8)
    }

    /// `2026-01-31T12:00:00Z`
    static func moment(_ time: UTCTime) -> String {
        GeneralizedTime(secondsSince2000: time.secondsSince2000).map { "\($0)" } ?? "never"
    }

    static func parseSize(_ text: String) -> Int? {
        let number = text.prefix { $0.isASCII && $0 != " " && $0 != "K" && $0 != "M" }
        let unit = text.dropFirst(number.count).drop { $0 == " " }
        guard let value = Numeral.parse(String(number)), value >= 0 else { return nil }
        switch unit {
        case "": return Int(exactly: value)
        case "KiB": return Int(exactly: value << 10)
        case "MiB": return Int(exactly: value << 20)
        default: return nil
        }
    }

    /// Percent are exact to four decimals, which is one per million.
    static func parsePerMillion(_ text: String) -> UInt32? {
        guard text.hasSuffix("%") else {
            return Numeral.parse(text).flatMap { UInt32(exactly: $0) }.flatMap {
                $0 <= 1_000_000 ? $0 : nil
            }
        }
        let number = text.dropLast().reversed().drop { $0 == " " }.reversed()
        let parts = String(number).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = digits(parts[0], limit: 3) else { return nil }
        var value = whole * 10_000
        if parts.count == 2 {
            guard let fraction = digits(parts[1], limit: 4) else { return nil }
            value += (0..<(4 - parts[1].count)).reduce(fraction) { result, _ in result * 10 }
        }
        return value <= 1_000_000 ? UInt32(value) : nil
    }

    private static func digits(_ text: Substring, limit: Int) -> Int? {
        guard (1...limit).contains(text.utf8.count),
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return Int(text)
    }
}
