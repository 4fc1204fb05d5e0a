import Foundation
import Wire

extension UTCTime {
    /// `2026-03-04T05:06:07Z`
    public var iso8601: String {
        Date(timeIntervalSince1970: Self.epoch + Double(secondsSince2000)).ISO8601Format()
    }

    /// Parses what `iso8601` gives, also with another zone; nil for anything else, and for times
    /// that there are no numbers for (before 2000, after 2136).
    public init?(iso8601 text: String) {
        guard let date = try? Date(text, strategy: .iso8601) else { return nil }
        let seconds = date.timeIntervalSince1970 - Self.epoch
        guard seconds >= 0, seconds <= Double(UInt32.max) else { return nil }
        self.init(secondsSince2000: UInt32(seconds))
    }

    /// Seconds from 1970 to 2000.
    private static let epoch = 946_684_800.0
}

/// A wall time, given in seconds since 1970, as `2026-03-04T05:06:07.089Z`.
public func iso8601(wall seconds: Double) -> String {
    Date(timeIntervalSince1970: Double(milliseconds(seconds)) / 1000)
        .ISO8601Format(.init(includingFractionalSeconds: true))
}
