import Wire

/// How a device keeps the time of its network.
public struct TimeClientSettings: Sendable, Equatable {
    /// How soon after it has joined, or started again in its network, a device asks for the time
    /// first. assumption: 100 ms; `time.afterJoining`.
    public var afterJoining = Interval.milliseconds(100)
    /// From one reading to the next. assumption: 24 h; `time.interval`.
    public var interval = Interval.hours(24)
    /// To the next attempt after one that failed. assumption: 10 min; `time.retryInterval`.
    public var retryInterval = Interval.minutes(10)

    public init() {}
}

/// The client of the Time cluster (ZCL 3.12) as a machine without I/O: finds the server, reads
/// Time and TimeStatus, and from then on knows what time it is.
///
/// Its clock is the device's own, which never errs, from the second that the server last said.
public struct TimeClient: Sendable {
    /// What is to be done now.
    public enum Step: Sendable, Equatable {
        case none
        /// Look for the server.
        case find
        /// Read Time and TimeStatus on this endpoint.
        case read(endpoint: UInt8)
    }

    private enum Phase: Sendable {
        case resting
        /// The answer has until then.
        case finding(until: Instant)
        case reading(until: Instant)
    }

    public var settings: TimeClientSettings
    /// How long an answer is waited for.
    public var responseTimeout: Interval
    private var phase = Phase.resting
    private var due = Instant.distantFuture
    private var endpoint: UInt8?
    private var sequence: UInt8 = 0
    private var reading: (time: UTCTime, at: Instant)?

    public init(settings: TimeClientSettings, responseTimeout: Interval) {
        self.settings = settings
        self.responseTimeout = responseTimeout
    }

    public var nextDeadline: Instant {
        switch phase {
        case .resting: due
        case .finding(let until), .reading(let until): until
        }
    }

    /// An answer is on its way, or the next request is due soon: not the time to fall asleep.
    public func isBusy(at now: Instant) -> Bool {
        if case .resting = phase { due <= now + settings.afterJoining } else { true }
    }

    /// The time by the last reading; nil before the first.
    public func time(at now: Instant) -> UTCTime? {
        reading.map { $0.time.advanced(by: now - $0.at) }
    }

    /// The device is in a network, perhaps another one than before.
    public mutating func joined(at now: Instant) {
        phase = .resting
        endpoint = nil
        due = now + settings.afterJoining
    }

    /// The device is in no network.
    public mutating func left() {
        phase = .resting
        due = .distantFuture
    }

    public mutating func step(at now: Instant) -> Step {
        guard nextDeadline <= now else { return .none }
        guard case .resting = phase else {
            failed(at: now)
            return .none
        }
        guard let endpoint else {
            phase = .finding(until: now + responseTimeout)
            return .find
        }
        phase = .reading(until: now + responseTimeout)
        return .read(endpoint: endpoint)
    }

    /// The request went out with this number, which its answer must have.
    public mutating func sent(sequence: UInt8) { self.sequence = sequence }

    /// The server is on this endpoint, or nowhere. False if that was not asked.
    public mutating func found(_ endpoint: UInt8?, at now: Instant) -> Bool {
        guard case .finding = phase else { return false }
        self.endpoint = endpoint
        if endpoint == nil {
            failed(at: now)
        } else {
            phase = .resting
            due = now
        }
        return true
    }

    /// Tries again later. A server that does not answer is looked for anew.
    private mutating func failed(at now: Instant) {
        phase = .resting
        endpoint = nil
        due = now + settings.retryInterval
    }

    /// What came of reading the time.
    public enum Verdict: Sendable, Equatable {
        /// The clock is set.
        case set(UTCTime)
        /// The server does not know the time either.
        case unknown
        /// Nobody had asked.
        case unexpected
    }

    /// The server's Time and TimeStatus. A server that is neither master nor set by one does not
    /// know the time (assumption), and 0xFFFFFFFF is no time (ZCL 3.12.2.2.1).
    public mutating func received(
        _ time: UInt32?, _ status: ZCLTime.Status, sequence: UInt8, at now: Instant
    ) -> Verdict {
        guard case .reading = phase, sequence == self.sequence else { return .unexpected }
        guard let time, time != .max, !status.isDisjoint(with: [.master, .synchronised]) else {
            failed(at: now)
            return .unknown
        }
        phase = .resting
        due = now + settings.interval
        reading = (UTCTime(secondsSince2000: time), now)
        return .set(UTCTime(secondsSince2000: time))
    }
}
