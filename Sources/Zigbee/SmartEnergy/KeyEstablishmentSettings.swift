import Wire

/// How long the two sides of Key Establishment take and wait. Profiles hold one under
/// `keyEstablishment`.
public struct KeyEstablishmentSettings: Sendable, Equatable {
    /// What a node says that it takes to make its ephemeral data, in seconds; a partner waits that
    /// long. assumption: 10 s; `keyEstablishment.ephemeralDataTime`.
    public var ephemeralDataTime: UInt8 = 10
    /// What a node says that it takes to confirm, in seconds. assumption: 10 s;
    /// `keyEstablishment.confirmKeyTime`.
    public var confirmKeyTime: UInt8 = 10
    /// How long the answer to Initiate is waited for, and how much longer than the partner said
    /// any other. assumption: 10 s; `keyEstablishment.margin`.
    public var margin = Interval.seconds(10)
    /// Device: how soon after it has joined, or started again in its network, it begins.
    /// assumption: 50 ms; `keyEstablishment.afterJoining`.
    public var afterJoining = Interval.milliseconds(50)
    /// Device: from an attempt that failed to the next, unless the partner asks for longer.
    /// assumption: 5 min; `keyEstablishment.retryInterval`.
    public var retryInterval = Interval.minutes(5)
    /// Hub: how many devices may be establishing a key at once. assumption: 4;
    /// `keyEstablishment.sessions`.
    public var sessions = 4
    /// Hub: how long a device that it has ended with should wait, in seconds. assumption: 30 s;
    /// `keyEstablishment.waitTime`.
    public var waitTime: UInt8 = 30

    public init() {}
}

/// Why an attempt came to nothing.
public enum KeyEstablishmentFailure: Hashable, Sendable {
    /// This side ended it, and told the other why.
    case refused(KeyEstablishmentStatus)
    /// The other side ended it, and said why.
    case terminated(KeyEstablishmentStatus)
    /// The other side did not answer in time.
    case noAnswer
    /// The partner does not serve the cluster.
    case noServer
}
