import Wire

/// A date and time of day in UTC, to the second, as ASN.1's GeneralizedTime has it in GBCS.
public struct GeneralizedTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// 0 to 9999.
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to the days of the month.
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int

    /// The moment that stands for "never": a CS06 with it cancels a pending activation
    /// (GBCS 9.2.2.7).
    public static let never = GeneralizedTime(
        year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59)!

    /// nil for a date or a time that there is not.
    public init?(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        guard (0...9999).contains(year), (1...12).contains(month),
            (1...Self.days(in: month, of: year)).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...59).contains(second)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// `2030-01-15T09:00:00Z`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "Z")] {
            guard bytes[index] == mark.utf8.first else { return nil }
        }
        self.init(digits: bytes.filter { (0x30...0x39).contains($0) })
    }

    /// YYYYMMDDhhmmss in ASCII digits; nil for anything else.
    init?(digits: [UInt8]) {
        guard digits.count == 14, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        func number(_ range: Range<Int>) -> Int {
            digits[range].reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        self.init(
            year: number(0..<4), month: number(4..<6), day: number(6..<8), hour: number(8..<10),
            minute: number(10..<12), second: number(12..<14))
    }

    /// Seconds since 2000-01-01T00:00:00Z, as GBZ and ZCL count; nil where 32 bits are too few.
    public init?(secondsSince2000 seconds: UInt32) {
        var days = Int(seconds / 86_400)
        let time = Int(seconds % 86_400)
        var (year, month) = (2000, 1)
        while days >= (Self.isLeap(year) ? 366 : 365) {
            days -= Self.isLeap(year) ? 366 : 365
            year += 1
        }
        while days >= Self.days(in: month, of: year) {
            days -= Self.days(in: month, of: year)
            month += 1
        }
        self.init(
            year: year, month: month, day: days + 1, hour: time / 3600, minute: time / 60 % 60,
            second: time % 60)
    }

    /// The reverse; nil before 2000 and after February 2136.
    public var secondsSince2000: UInt32? {
        guard year >= 2000 else { return nil }
        var days = day - 1
        for year in 2000..<year { days += Self.isLeap(year) ? 366 : 365 }
        for month in 1..<month { days += Self.days(in: month, of: year) }
        return UInt32(exactly: days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// YYYYMMDDhhmmss
    var digits: String {
        padded(year, 4)
            + [month, day, hour, minute, second].map { padded($0, 2) }.joined()
    }

    /// `2030-01-15T09:00:00Z`
    public var description: String {
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
            + "T\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))Z"
    }

    public static func < (a: GeneralizedTime, b: GeneralizedTime) -> Bool { a.digits < b.digits }
}

/// `number` with zeros in front up to `count` digits.
private func padded(_ number: Int, _ count: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
}

/// A COSEM date-time (IEC 62056-6-2 4.1.6.1): year (2), month, day, day of the week, hour, minute,
/// second, hundredths, deviation (2), clock status. Twelve bytes, any of which may be FF for "not
/// specified"; they are kept as they are.
public struct COSEMDateTime: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// nil unless there are twelve bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 12 else { return nil }
        self.bytes = bytes
    }

    /// A time in UTC as the published test data writes it: no day of the week, no deviation
    /// (8000), no clock status (FF), hundredths 0.
    public init(_ time: GeneralizedTime) {
        bytes =
            [UInt8](bigEndian: UInt16(time.year))
            + [
                UInt8(time.month), UInt8(time.day), 0xFF, UInt8(time.hour), UInt8(time.minute),
                UInt8(time.second), 0x00, 0x80, 0x00, 0xFF,
            ]
    }

    /// The date and time, where all parts of them are specified and the deviation is none or 0.
    public var utc: GeneralizedTime? {
        let deviation = UInt16(bytes[9]) << 8 | UInt16(bytes[10])
        guard deviation == 0x8000 || deviation == 0 else { return nil }
        return GeneralizedTime(
            year: Int(bytes[0]) << 8 | Int(bytes[1]), month: Int(bytes[2]), day: Int(bytes[3]),
            hour: Int(bytes[5]), minute: Int(bytes[6]), second: Int(bytes[7]))
    }

    public var description: String {
        utc?.description ?? "COSEM date-time \(Hex.string(bytes))"
    }
}
