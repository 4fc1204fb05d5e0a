import Wire

/// How one attempt to update one device ended. The list is closed.
public enum AttemptOutcome: String, CaseIterable, Sendable {
    /// The device runs the new version.
    case updated
    /// The hub had nothing to offer the device when it asked, or it never asked.
    case notOffered
    /// The device, or the hub in front of it, found the image wrong.
    case rejected
    /// The device stopped downloading after its retries.
    case gaveUp
    /// The image was downloaded and verified but not put into use.
    case notActivated
    /// The hub threw the image away before it could be offered.
    case discarded
    /// The attempt was still under way when it was closed.
    case incomplete
}

/// What a device in the summary is.
public enum DeviceRole: String, CaseIterable, Sendable {
    case communicationsHub = "CH"
    case esme = "ESME"
    case gsme = "GSME"
    case ppmid = "PPMID"
    case hcalcs = "HCALCS"
}

/// What a run came to, as `summary.json` holds it and `--json` prints it. `docs/summary.md`
/// describes every field.
public struct Summary: Sendable {
    public enum Outcome: String, CaseIterable, Sendable {
        case passed
        case failed
    }

    /// One image that was sent for one device.
    public struct Attempt: Sendable {
        /// The version that the hub ran when the attempt began.
        public var hubFirmware: UInt32
        public var outcome: AttemptOutcome
        /// Why, for every outcome but `updated`: a name from the list of refusals or a ZCL status.
        public var reason: String?
        /// Image blocks that the device received.
        public var blocks: UInt64
        /// Frames on the air while the attempt lasted, of all devices.
        public var frames: UInt64
        public var virtualTime: Interval

        public init(
            hubFirmware: UInt32, outcome: AttemptOutcome, reason: String?, blocks: UInt64,
            frames: UInt64, virtualTime: Interval
        ) {
            self.hubFirmware = hubFirmware
            self.outcome = outcome
            self.reason = reason
            self.blocks = blocks
            self.frames = frames
            self.virtualTime = virtualTime
        }
    }

    public struct Device: Sendable {
        /// As the roster and `events.jsonl` name it.
        public var name: String
        public var role: DeviceRole
        public var eui64: EUI64
        public var versionBefore: UInt32
        /// Nil if it could not be read.
        public var versionAfter: UInt32?
        public var attempts: [Attempt]

        public init(
            name: String, role: DeviceRole, eui64: EUI64, versionBefore: UInt32,
            versionAfter: UInt32?, attempts: [Attempt]
        ) {
            self.name = name
            self.role = role
            self.eui64 = eui64
            self.versionBefore = versionBefore
            self.versionAfter = versionAfter
            self.attempts = attempts
        }
    }

    /// A process that took part.
    public struct Process: Sendable {
        /// A member's role, or `AIR`.
        public var role: String
        public var eui64: EUI64?
        public var processID: Int32

        public init(role: String, eui64: EUI64?, processID: Int32) {
            self.role = role
            self.eui64 = eui64
            self.processID = processID
        }
    }

    public var scenario: String
    public var seed: UInt64
    /// What carried the frames: `simulation` or `zmq`.
    public var transport: String
    public var outcome: Outcome
    /// Why it failed, for people; nil if it passed.
    public var failure: String?
    public var virtualTime: Interval
    /// The only field that differs between two runs with the same seed.
    public var wallSeconds: Double
    public var frames: UInt64
    public var devices: [Device]
    /// Of a run over ZeroMQ: every process but the one that keeps them.
    public var processes: [Process] = []

    public init(
        scenario: String, seed: UInt64, transport: String, outcome: Outcome,
        failure: String? = nil, virtualTime: Interval, wallSeconds: Double, frames: UInt64,
        devices: [Device]
    ) {
        self.scenario = scenario
        self.seed = seed
        self.transport = transport
        self.outcome = outcome
        self.failure = failure
        self.virtualTime = virtualTime
        self.wallSeconds = wallSeconds
        self.frames = frames
        self.devices = devices
    }

    /// The summary as JSON with two spaces of indentation and a newline at its end.
    public var json: String {
        let wall = wallSeconds.isFinite ? max(0, min(wallSeconds, 1e12)) : 0
        let list = devices.map { Self.json($0) }.joined(separator: ",\n")
        return """
            {
              "scenario": \(JSON.quotedText(scenario)),
              "seed": \(seed),
              "transport": \(JSON.quotedText(transport)),
              "outcome": "\(outcome.rawValue)",
              "failure": \(failure.map(JSON.quotedText) ?? "null"),
              "virtualSeconds": \(JSON.fixed(virtualTime.microseconds, places: 6)),
              "wallSeconds": \(JSON.fixed(Int64(wall * 1_000), places: 3)),
              "frames": \(frames),
              "devices": \(Self.list(list, indentation: "  "))\(processList)
            }

            """
    }

    private var processList: String {
        guard !processes.isEmpty else { return "" }
        let list = processes.map { process in
            "    {\"role\": \(JSON.quotedText(process.role)), \"eui64\": "
                + (process.eui64.map { "\"\($0)\"" } ?? "null")
                + ", \"pid\": \(process.processID)}"
        }
        return ",\n  \"processes\": " + Self.list(list.joined(separator: ",\n"), indentation: "  ")
    }

    private static func json(_ device: Device) -> String {
        let list = device.attempts.map { json($0) }.joined(separator: ",\n")
        return """
                {
                  "name": \(JSON.quotedText(device.name)),
                  "role": "\(device.role.rawValue)",
                  "eui64": "\(device.eui64)",
                  "versionBefore": \(version(device.versionBefore)),
                  "versionAfter": \(device.versionAfter.map(version) ?? "null"),
                  "attempts": \(Self.list(list, indentation: "      "))
                }
            """
    }

    private static func json(_ attempt: Attempt) -> String {
        """
                {
                  "hubFirmware": \(version(attempt.hubFirmware)),
                  "outcome": "\(attempt.outcome.rawValue)",
                  "reason": \(attempt.reason.map(JSON.quotedText) ?? "null"),
                  "blocks": \(attempt.blocks),
                  "frames": \(attempt.frames),
                  "virtualSeconds": \(JSON.fixed(attempt.virtualTime.microseconds, places: 6))
                }
        """
    }

    private static func list(_ items: String, indentation: String) -> String {
        items.isEmpty ? "[]" : "[\n\(items)\n\(indentation)]"
    }

    private static func version(_ version: UInt32) -> String {
        "\"0x\(Hex.string(UInt64(version), digits: 8))\""
    }
}
