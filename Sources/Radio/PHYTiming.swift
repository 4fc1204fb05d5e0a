import Wire

/// Timings of the 2.4 GHz O-QPSK physical layer and of the MAC above it (IEEE 802.15.4-2006
/// 6.4, 6.5, 7.4.2). Values marked [M] in our notes are settings: change them in the home file
/// under `phy`.
public struct PHYTiming: Sendable, Equatable {
    /// One symbol: 16 µs.
    public var symbol = Interval.microseconds(16)
    /// One byte: two symbols.
    public var byte = Interval.microseconds(32)
    /// Preamble, start-of-frame delimiter and length: 6 bytes.
    public var synchronisation = Interval.microseconds(192)
    /// aTurnaroundTime: 12 symbols.
    public var turnaround = Interval.microseconds(192)
    /// Clear channel assessment: 8 symbols.
    public var assessment = Interval.microseconds(128)
    /// aUnitBackoffPeriod: 20 symbols.
    public var backoff = Interval.microseconds(320)
    /// macAckWaitDuration: 54 symbols, from the end of the frame.
    public var acknowledgementWait = Interval.microseconds(864)
    /// macMinSIFSPeriod: 12 symbols after a frame of at most `shortFrameLimit` bytes.
    public var shortSpacing = Interval.microseconds(192)
    /// macMinLIFSPeriod: 40 symbols after a longer frame.
    public var longSpacing = Interval.microseconds(640)
    /// aMaxSIFSFrameSize in bytes.
    public var shortFrameLimit = 18
    /// macMinBE
    public var minimumBackoffExponent = 3
    /// macMaxBE
    public var maximumBackoffExponent = 5
    /// macMaxCSMABackoffs
    public var maximumBackoffs = 4
    /// macMaxFrameRetries
    public var maximumRetries = 3

    public init() {}

    /// How long `bytes` of PSDU (FCS included) are on the air.
    @inlinable
    public func airtime(_ bytes: Int) -> Interval { synchronisation + byte * bytes }

    /// The spacing that the sender of `bytes` must leave before its next frame.
    @inlinable
    public func spacing(after bytes: Int) -> Interval {
        bytes <= shortFrameLimit ? shortSpacing : longSpacing
    }
}
