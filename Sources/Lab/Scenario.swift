import Air
import Evidence
import Wire

/// A story to run in a home, as its file says (`Profiles/scenarios/`).
public struct Scenario: Sendable {
    public var name: String
    public var title: String
    /// The home's name, a file in `Profiles/homes/`.
    public var home: String
    /// The virtual date and time of the start.
    public var start: UTCTime
    public var seed: UInt64
    /// Virtual time after which the run has failed.
    public var timeLimit: Interval
    public var steps: [ScenarioStep]
    public var lostNode: LostNode
    /// What stands between its requests and the home, if it has any.
    public var dcc: ScenarioDCC?

    /// What becomes of a run in which a member's process dies, falls silent or is put off the air.
    public enum LostNode: String, CaseIterable, Sendable {
        /// It fails at the step that is played.
        case fail
        /// The member counts as one without power, until its process is there again.
        case `continue`
    }

    public init(
        name: String, title: String, home: String, start: UTCTime, seed: UInt64,
        timeLimit: Interval, lostNode: LostNode = .fail, steps: [ScenarioStep]
    ) {
        self.name = name
        self.title = title
        self.home = home
        self.start = start
        self.seed = seed
        self.timeLimit = timeLimit
        self.lostNode = lostNode
        self.steps = steps
    }
}

/// One step of a scenario: what is done or waited for, and for how long at most.
public struct ScenarioStep: Sendable {
    public var title: String
    public var action: Action
    /// Virtual time within which the step must be done.
    public var within: Interval
    /// Where it stands in its file, for messages.
    public var line: Int

    public init(title: String, action: Action, within: Interval, line: Int) {
        self.title = title
        self.action = action
        self.within = within
        self.line = line
    }

    /// Devices are named as in the home file.
    public enum Action: Sendable, Equatable {
        /// The devices are in the network and know their OTA server.
        case join(devices: [String])
        /// An image of the manifest goes to the hub's WAN port, meant for these devices: one
        /// attempt for each begins.
        case deliver(image: String, to: [String])
        /// The hub gets, holds and runs an image of its own, and is back.
        case updateHub(image: String, by: Carrier = .order)
        /// The devices have come to this outcome in their current attempt; to so many bytes of the
        /// image, for `downloading`; for this reason in the summary's words, unless it is nil.
        case await(Milestone, devices: [String], offset: Int = 0, reason: String? = nil)
        /// The devices' current attempts stand like this now, as the summary would have them.
        case expect(AttemptOutcome, devices: [String], reason: String? = nil)
        /// The devices get the order to run the image of their current attempt, and answer like
        /// this, for this reason unless it is nil.
        case activate(
            devices: [String], expect: ActivationAnswer = .activated, reason: String? = nil)
        /// The supplier has the devices run the image of their current attempt by a signed CS06.
        case command(
            devices: [String], MessageOrder, expect: ActivationAnswer, reason: String? = nil)
        /// These bytes go to the member as a GBCS message.
        case message(to: String, [UInt8])
        /// Each of the members has sent a message with this code, and an alert with that one.
        case awaitMessage(members: [String], code: UInt16?, alert: UInt16?)
        /// Another supplier takes the place of the devices' own.
        case changeSupplier(devices: [String], to: Int)
        /// The hub reads the devices' versions over the air; they must be these, or, where
        /// `version` is nil, that of the last image delivered if the attempt ended `updated` and
        /// the one before it otherwise.
        case readVersions(devices: [String], version: UInt32?)
        /// The devices ask for their next image now, rather than when they would by themselves.
        case query(devices: [String])
        /// The devices ask for their device-specific files of this image type.
        case queryFile(devices: [String], imageType: UInt16)
        /// The devices end the downloads they have under way and tell the hub so.
        case cancel(devices: [String])
        /// The supply is switched, and back on after `duration` unless that is nil.
        case power(device: String, on: Bool, duration: Interval? = nil)
        case link(a: String, b: String, Link)
        case permitJoining(Interval)
        /// The hub changes the network key and has switched to it.
        case updateNetworkKey
        /// The hub strikes the devices off its device log, and they have left the network.
        case remove(devices: [String])
        /// The hub puts the devices in its device log, where they may have been before, and lets
        /// them join.
        case add(devices: [String])
        /// A service user sends the DCC a request.
        case request(ServiceStep)
        /// The DCC has told a user something with this code about each of the devices: a DCC
        /// alert's (`N60`), a device alert's (`8F72`), or a later answer's (`I0`).
        case awaitNotice(code: String, devices: [String])
        case wait(Interval)
        /// Virtual time passes until this moment.
        case waitUntil(UTCTime)
    }

    /// How somebody is told to activate an image.
    public enum Carrier: String, CaseIterable, Sendable {
        /// A word of the test bench, or of the CSP to the hub.
        case order
        /// A signed and authenticated command.
        case cs06
    }

    /// What a CS06 says beside the hash.
    public struct MessageOrder: Sendable, Equatable {
        /// Nil for at once.
        public var at: UTCTime?
        /// It takes back what was to be done later.
        public var isCancellation: Bool
        /// Which supplier signs it, from 1 on.
        public var supplier: Int

        public init(at: UTCTime? = nil, isCancellation: Bool = false, supplier: Int = 1) {
            self.at = at
            self.isCancellation = isCancellation
            self.supplier = supplier
        }
    }

    /// What an `activate` waits for from each device.
    public enum ActivationAnswer: String, CaseIterable, Sendable {
        /// It has written down that it runs the image from now on.
        case activated
        /// It does not do so, and says why.
        case refused
        /// Either of the two.
        case answered
        /// It has taken a command for later, or a cancellation.
        case accepted
        /// It has not let the command in, and says nothing to whoever sent it.
        case dropped
        /// Nothing: the step is done once the order has been given.
        case nothing
    }

    /// What an `await` waits for.
    public enum Milestone: String, CaseIterable, Sendable {
        /// The image has been fetched and has passed every check.
        case verified
        /// The device asked and was told that there is nothing for it.
        case notOffered
        /// The device found the image wanting.
        case rejected
        /// The device stopped asking.
        case gaveUp
        /// The device runs the new version.
        case updated
        /// The download has begun.
        case downloading
    }
}
