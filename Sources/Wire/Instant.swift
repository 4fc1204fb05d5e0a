/// A point in virtual time: whole microseconds since the scenario's start date.
///
/// No machine reads a clock; every input is handed the `Instant` at which it happens.
public struct Instant: Comparable, Hashable, Sendable {
    public var microseconds: Int64

    @inlinable
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// The scenario's start.
    public static let zero = Instant(microseconds: 0)
    /// Later than anything a run reaches; stands for "never" where an optional would cost.
    public static let distantFuture = Instant(microseconds: .max)

    @inlinable
    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }

    @inlinable
    public static func + (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds &+ b.microseconds)
    }

    @inlinable
    public static func - (a: Instant, b: Instant) -> Interval {
        Interval(microseconds: a.microseconds &- b.microseconds)
    }
}

/// A length of virtual time in whole microseconds.
public struct Interval: Comparable, Hashable, Sendable {
    public var microseconds: Int64

    @inlinable
    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static let zero = Interval(microseconds: 0)

    @inlinable
    public static func microseconds(_ n: Int64) -> Interval { Interval(microseconds: n) }
    @inlinable
    public static func milliseconds(_ n: Int64) -> Interval { Interval(microseconds: n * 1_000) }
    @inlinable
    public static func seconds(_ n: Int64) -> Interval { Interval(microseconds: n * 1_000_000) }
    @inlinable
    public static func minutes(_ n: Int64) -> Interval { .seconds(n * 60) }
    @inlinable
    public static func hours(_ n: Int64) -> Interval { .seconds(n * 3_600) }

    /// The length in seconds, for people and for summaries; never used to decide anything.
    public var inSeconds: Double { Double(microseconds) / 1_000_000 }

    @inlinable
    public static func < (a: Interval, b: Interval) -> Bool { a.microseconds < b.microseconds }
    @inlinable
    public static func + (a: Interval, b: Interval) -> Interval {
        Interval(microseconds: a.microseconds &+ b.microseconds)
    }
    @inlinable
    public static func - (a: Interval, b: Interval) -> Interval {
        Interval(microseconds: a.microseconds &- b.microseconds)
    }
    @inlinable
    public static func * (a: Interval, n: Int) -> Interval {
        Interval(microseconds: a.microseconds &* Int64(n))
    }
}

/// Seconds since 2000-01-01T00:00:00Z, the clock of ZCL's UTCTime type (ZCL 2.6.2.21).
public struct UTCTime: Comparable, Hashable, Sendable {
    public var secondsSince2000: UInt32

    @inlinable
    public init(secondsSince2000: UInt32) { self.secondsSince2000 = secondsSince2000 }

    @inlinable
    public static func < (a: UTCTime, b: UTCTime) -> Bool {
        a.secondsSince2000 < b.secondsSince2000
    }

    /// The UTC time `elapsed` after this one; saturates at the type's end (2136).
    @inlinable
    public func advanced(by elapsed: Interval) -> UTCTime {
        let sum = Int64(secondsSince2000) + elapsed.microseconds / 1_000_000
        return UTCTime(secondsSince2000: UInt32(clamping: sum))
    }
}
