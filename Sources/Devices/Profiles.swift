import GBCS
import Radio
import Wire
import Zigbee

/// What a device is and does, as its profile file says (`Profiles/devices/`).
public struct DeviceProfile: Sendable {
    /// ESME, GSME, PPMID or HCALCS.
    public var type: DeviceType
    public var name: String
    /// ZigBee manufacturer code.
    public var manufacturer: UInt16
    public var model: String
    public var imageType: UInt16
    public var hardwareVersion: UInt16
    /// The Smart Energy endpoint, 1-240, that its clusters stand on.
    public var endpoint: UInt8
    /// Application device identifier of its simple descriptor: metering device 0x0501, load
    /// control device 0x0504, prepayment terminal 0x0506. assumption for what an HCALCS and a
    /// PPMID call themselves; `applicationDevice`.
    public var applicationDevice: UInt16
    /// What it can do, by firmware version.
    public var firmware: [FirmwareRange<DeviceCapabilities>]
    public var isRouter: Bool
    public var isMainsPowered: Bool
    /// What its power descriptor says beside that.
    public var power: PowerSettings
    /// Nil for a device whose receiver is always on.
    public var sleep: SleepSettings?
    public var ota: OTAClientSettings
    /// How it uses its tunnel. What it has to say waits for a day, over many wakes of a GSME.
    public var tunnel = TunnelSettings()
    public var time: TimeClientSettings
    /// How it establishes its link key, if it has a certificate.
    public var keyEstablishment = KeyEstablishmentSettings()
    /// How much of a download survives a restart.
    public var resume: ResumePolicy
    /// Block requests and responses ask for APS acknowledgements too.
    public var acknowledgesBlocks: Bool
    /// How it joins and stays in touch with its parent; `stack` in its file.
    public var stack: JoinSettings
    /// How it keeps to the network; in the same place.
    public var network: NetworkSettings
    public var flash: FlashGeometry
    /// How long it takes from power to the first frame.
    public var bootTime: Interval
    /// How long checking an image takes: per KiB of it.
    public var checkPerKiB: Interval
    /// How long it goes on sending before it restarts or leaves; before a restart, while a message
    /// is on its way through its tunnel, up to `tunnel.responseTimeout`. assumption; `farewell`.
    public var farewell: Interval
    /// How long its power is off when it restarts. assumption: 10 ms; `restartDelay`.
    public var restartDelay: Interval
    /// When it looks for an OTA server again that has not answered. assumption; `serverRetry`.
    public var serverRetry: Interval
    /// When it does after the hub said that there is none. assumption; `noServerRetry`.
    public var noServerRetry: Interval
    /// ImageStamp (ZCL 11.10) while the firmware runs that the device left the factory with;
    /// that of a later image follows from its hash. assumption: 0; `factoryStamp`.
    public var factoryStamp: UInt32
    /// Its part in GBCS messages; `messages` in its file.
    public var messages: MessageSettings

    public init(type: DeviceType, name: String) {
        self.type = type
        self.name = name
        manufacturer = 0
        model = name
        imageType = 0
        hardwareVersion = 0
        endpoint = 1
        applicationDevice =
            switch type {
            case .esme, .gsme: 0x0501
            case .hcalcs: 0x0504
            case .ppmid: 0x0506
            case .communicationsHub: HubProfile.remoteCommunicationsDevice
            }
        firmware = [FirmwareRange(0...UInt32.max, DeviceCapabilities())]
        isRouter = false
        isMainsPowered = true
        power = PowerSettings()
        ota = OTAClientSettings()
        time = TimeClientSettings()
        resume = .offset(everyBlocks: 32)
        acknowledgesBlocks = false
        stack = JoinSettings()
        network = NetworkSettings()
        tunnel.deliveryTime = .hours(24)
        farewell = .milliseconds(500)
        restartDelay = .milliseconds(10)
        serverRetry = .seconds(30)
        noServerRetry = .minutes(10)
        flash = FlashGeometry(size: 1 << 20)
        bootTime = .seconds(2)
        checkPerKiB = .milliseconds(2)
        factoryStamp = 0
        messages = MessageSettings()
        messages.receiptForm = type == .gsme ? .gbz : .dlms
        // A PPMID holds no supplier's credentials and is activated by Upgrade End Response; the
        // others only ever by a command (GBCS 11.5, 11.6).
        ota.activationByOrderOnly = type != .ppmid
    }

    public func capabilities(at version: UInt32) -> DeviceCapabilities? {
        firmware.first { $0.versions.contains(version) }?.value
    }

    /// Pages in each area of its journal: enough for all that the device may have to keep, of which
    /// its network is the most.
    var journalPages: Int {
        let lengths =
            [FirmwareState.size, Self.networkRecord, 24, 1]
            + MessageApplication.Records.lengths(messages)
        return max(2, Journal.pagesPerArea(for: lengths, pageSize: flash.pageSize))
    }

    /// The most that a device keeps of its network, in bytes: a router with 64 neighbours, 64
    /// addresses and 64 routes has 2,183 and 33 for each link key, of which it has few.
    private static let networkRecord = 2560
}

/// A range of firmware versions and what holds for it.
public struct FirmwareRange<Value: Sendable>: Sendable {
    public var versions: ClosedRange<UInt32>
    public var value: Value

    public init(_ versions: ClosedRange<UInt32>, _ value: Value) {
        self.versions = versions
        self.value = value
    }
}

/// What a device's firmware lets it do.
public struct DeviceCapabilities: Sendable, Equatable {
    /// Whether it has an OTA client at all. A PPMID from before SECMP0007 has none.
    public var hasOTAClient = true
    /// The GBCS version that it keeps to. assumption: 4.0; `gbcsVersion`.
    public var gbcsVersion = "4.0"

    public init(hasOTAClient: Bool = true) { self.hasOTAClient = hasOTAClient }
}

/// How a sleepy device spends its battery.
public struct SleepSettings: Sendable, Equatable {
    /// From one wake to the next. GSME: 30 minutes.
    public var interval: Interval
    /// The longest it stays awake.
    public var maximumAwake: Interval
    /// The most blocks it fetches in one wake.
    public var blocksPerWake: Int
    /// How long it goes on polling after the last thing that happened.
    /// assumption: 250 ms; `sleep.linger`.
    public var linger: Interval
    /// How long it polls for the answer to its search for an OTA server.
    /// assumption: 5 s; `sleep.serverWait`.
    public var serverWait = Interval.seconds(5)
    /// How long it polls after it has answered somebody, who may acknowledge or go on asking.
    /// assumption: 2 s; `sleep.answerWait`.
    public var answerWait = Interval.seconds(2)

    public init(
        interval: Interval = .minutes(30), maximumAwake: Interval = .seconds(10),
        blocksPerWake: Int = 64, linger: Interval = .milliseconds(250)
    ) {
        self.interval = interval
        self.maximumAwake = maximumAwake
        self.blocksPerWake = blocksPerWake
        self.linger = linger
    }
}

/// What becomes of a download when the device restarts, or gives up because nobody answers.
public enum ResumePolicy: Sendable, Equatable {
    /// It goes on from the last offset saved if it is offered the same image again; one is saved
    /// every so many blocks.
    case offset(everyBlocks: Int)
    /// It begins again.
    case fromZero
}

/// What a Communications Hub is and does, as its profile file says (`Profiles/hubs/`).
public struct HubProfile: Sendable {
    public var name: String
    public var manufacturer: UInt16
    public var model: String
    public var imageType: UInt16
    public var hardwareVersion: UInt16
    /// What it supports, by firmware version.
    public var firmware: [FirmwareRange<HubCapabilities>]
    /// The Smart Energy endpoint, 1-240, of its OTA server.
    public var endpoint: UInt8
    /// Application device identifier of its simple descriptor. assumption: remote communications
    /// device, 0x0508, where others say energy service interface, 0x0500; `applicationDevice`.
    public var applicationDevice: UInt16
    public var imageSlots: Int
    /// Bytes each slot holds; a whole number of flash pages.
    public var imageSlotSize: Int
    /// How long joining stays open after a PAN is formed, and after a device is put in the log
    /// (assumption: as long). A scenario's `permitJoining` opens or
    /// closes it later, as the change of a device log would.
    public var permitJoining: Interval
    /// How often the hub tells its routers anew that joining is open, where it stays open for
    /// longer than they can be told at once. assumption: 200 s; `permitRenewal`.
    public var permitRenewal: Interval
    /// Image Notify goes out when a new image is there.
    public var notifiesImages: Bool
    /// How long the answer of a device whose version is read is waited for before it is asked
    /// again. assumption: 30 s; `readRetry`.
    public var readRetry: Interval
    /// How often a device is asked for its version in all. assumption: 20; `readLimit`.
    public var readLimit: Int
    /// How long after it was asked a sleeper that is heard of again is asked again.
    /// assumption: 2 s; `readPause`.
    public var readPause: Interval
    /// Devices its log holds, 1-64. assumption: 64; `deviceLogLimit`.
    public var deviceLogLimit: Int
    /// How long after a device that is not in its log was told to leave it is told again, if it
    /// goes on sending. assumption: 30 s; `leaveRetry`.
    public var leaveRetry: Interval
    /// A device that is not in its log is refused when it associates with the hub; otherwise it
    /// gets an address, and no network key. assumption: true; `refusesAssociation`.
    public var refusesAssociation: Bool
    public var ota: OTAServerSettings
    /// How it uses its tunnels, and what it keeps for them.
    public var tunnel = TunnelSettings()
    public var mail = HubMailSettings()
    public var flashPart: HubFlash
    /// How it keeps to the network; `stack` in its file.
    public var network: NetworkSettings
    /// How it changes the network key, as trust centre.
    public var keyUpdate: KeyUpdateSettings
    /// How it establishes link keys; `keyEstablishment` in its file.
    public var keyEstablishment = KeyEstablishmentSettings()
    /// A device that has certificates has to establish a link key before the hub talks of time and
    /// firmware with it. assumption: true; `keyEstablishment.required`.
    public var requiresEstablishedKeys = true
    public var bootTime: Interval
    /// How long its power is off when it restarts. assumption: 10 ms; `restartDelay`.
    public var restartDelay: Interval
    /// The part of its two entities in GBCS messages; `messages` in its file.
    public var messages: MessageSettings

    public init(name: String) {
        self.name = name
        manufacturer = 0
        model = name
        imageType = 0
        hardwareVersion = 0
        firmware = [FirmwareRange(0...UInt32.max, HubCapabilities())]
        endpoint = 3
        applicationDevice = Self.remoteCommunicationsDevice
        imageSlots = 6
        imageSlotSize = 192 * 4096
        permitJoining = .minutes(10)
        permitRenewal = .seconds(200)
        readRetry = .seconds(30)
        readLimit = 20
        readPause = .seconds(2)
        deviceLogLimit = 64
        leaveRetry = .seconds(30)
        refusesAssociation = true
        notifiesImages = true
        ota = OTAServerSettings()
        flashPart = HubFlash()
        network = NetworkSettings()
        keyUpdate = KeyUpdateSettings()
        bootTime = .seconds(20)
        messages = MessageSettings()
        restartDelay = .milliseconds(10)
    }

    /// Pages in each area of its journal: enough for all that the hub may have to keep.
    var journalPages: Int {
        let lengths =
            [FirmwareState.size, Journal.recordLimit, DeviceLog.entrySize * deviceLogLimit]
            + Array(repeating: StoredImage.longest, count: imageSlots + 1)
            + MessageApplication.Records.lengths(messages)
            + MessageApplication.Records.lengths(messages)
        return max(8, Journal.pagesPerArea(for: lengths, pageSize: flashPart.pageSize))
    }

    static let remoteCommunicationsDevice: UInt16 = 0x0508

    /// Flash the hub needs for its journal, its image slots, one more for an image that is
    /// arriving, and two for its own firmware.
    public var flash: FlashGeometry {
        FlashGeometry(
            size: journalPages * 2 * flashPart.pageSize
                + (imageSlots + 3) * imageSlotSize,
            pageSize: flashPart.pageSize, programPerByte: flashPart.programPerByte,
            erasePage: flashPart.erasePage)
    }

    public func capabilities(at version: UInt32) -> HubCapabilities? {
        firmware.first { $0.versions.contains(version) }?.value
    }
}

/// What a hub's firmware lets it do.
public struct HubCapabilities: Sendable, Equatable {
    /// The device types it delivers images to. Before SECMP0007: ESME and GSME.
    public var delivers: Set<DeviceType>
    /// An image for a type it does not deliver to is dropped without a word to the WAN.
    /// assumption: `discardsSilently` in the hub's profile.
    public var discardsSilently: Bool
    /// It answers Image Page Request. assumption: yes; `servesPages`.
    public var servesPages = true
    /// It answers Query Device Specific File Request. assumption: yes; `servesDeviceFiles`.
    public var servesDeviceFiles = true
    /// It reports transfers by CCS08. assumption: from SECMP0007 on, which is when it delivers to a
    /// PPMID or an HCALCS; `reportsTransfers`.
    public var reportsTransfers: Bool
    /// The GBCS version that it keeps to. assumption: 4.0 from SECMP0007 on, 3.2 before;
    /// `gbcsVersion`.
    public var gbcsVersion: String

    public init(
        delivers: Set<DeviceType> = [.esme, .gsme, .ppmid, .hcalcs], discardsSilently: Bool = true
    ) {
        self.delivers = delivers
        self.discardsSilently = discardsSilently
        reportsTransfers = delivers.contains(.ppmid) || delivers.contains(.hcalcs)
        gbcsVersion = reportsTransfers ? "4.0" : "3.2"
    }
}

/// One line of a hub's device log: a device it may talk to (GBCS CCS01).
public struct DeviceLogEntry: Sendable, Equatable {
    public var eui64: EUI64
    /// The home file gives it. Of a device that only a CCS01 has named it is nil, for GBCS
    /// registers none, until the device's descriptors have told it.
    public var type: DeviceType?
    /// The install code's link key, which secures joining.
    public var linkKey: Key128
    /// The endpoint of its mirror, if it is a GSME and has asked for one.
    public var mirror: UInt8?

    public init(eui64: EUI64, type: DeviceType?, linkKey: Key128) {
        self.eui64 = eui64
        self.type = type
        self.linkKey = linkKey
    }
}
