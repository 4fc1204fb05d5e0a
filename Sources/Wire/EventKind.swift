/// Every kind of event there is. The raw value is stable: it crosses processes.
public enum EventKind: UInt16, CaseIterable, Sendable {
    // Any node
    case poweredOn = 1
    case poweredOff = 2
    case restarting = 3
    case dropped = 4
    case outputLost = 5
    case booted = 6
    case flashDamaged = 7

    // MAC and NWK
    case panFormed = 20
    case associated = 21
    case associationRefused = 22
    case networkKeyReceived = 23
    case joined = 24
    case rejoined = 25
    case left = 26
    case deviceAnnounced = 27
    case transmitFailed = 28
    case indirectExpired = 29
    case joinFailed = 30
    case deviceUpdated = 31
    case routeFound = 32
    case childAged = 33
    case networkResumed = 34
    case routeLost = 35
    case networkKeySwitched = 36
    case deviceRemoved = 37

    // APS
    case apsRetry = 40
    case apsGaveUp = 41
    case linkKeyEstablished = 42
    case linkKeyRefused = 43

    // Tunnels and the messages in them
    case tunnelOpened = 50
    case tunnelClosed = 51
    case tunnelRefused = 52
    case tunnelFailed = 53
    case tunnelMessageQueued = 54
    case tunnelMessageSent = 55
    case tunnelMessageReceived = 56
    case tunnelMessageLost = 57
    case tunnelMessageNotRetrieved = 58
    case notificationFlags = 59

    // OTA client
    case otaServerFound = 60
    case otaQueried = 61
    case otaNotOffered = 62
    case otaDownloadStarted = 63
    case otaDownloadResumed = 64
    case otaProgress = 65
    case otaWaiting = 66
    case otaVerified = 67
    case otaRejected = 68
    case otaAwaitingActivation = 69
    case otaCountingDown = 70
    case otaGaveUp = 71
    case otaAborted = 72
    case activationOrdered = 73
    case activationRefused = 74
    case activated = 75
    case otaClientAbsent = 76
    case otaStoppedAsking = 77
    case otaFileReceived = 78

    // Time client
    case clockSet = 80

    // Communications Hub
    case imageArriving = 90
    case imageStored = 91
    case imageDiscarded = 92
    case imageOffered = 93
    case imageWithheld = 94
    case downloadServed = 95
    case versionRead = 96
    case deviceLogged = 97
    case imageNotified = 98
    case wanMessageRefused = 99
    case versionNotRead = 100
    case commandRefused = 101
    case deviceNotLogged = 102
    case deviceDescribed = 103
    case mirrorAllotted = 104

    // GBCS messages
    case messageReceived = 110
    case messageDropped = 111
    case messageSent = 112
    case securityLogged = 113
    case activationScheduled = 114
    case activationCancelled = 115
    case supplierChanged = 116

    // Director
    case runStarted = 120
    case stepStarted = 121
    case stepPassed = 122
    case stepFailed = 123
    case runEnded = 124
    case messageRead = 125
    case requestAnswered = 126
    case noticeSent = 127

    // The air of processes
    case nodeLost = 140
    case benchOrdered = 141

    /// The name in `events.jsonl`.
    public var name: String { "\(self)" }

    /// The fields a record of this kind carries, in order.
    public var fields: [EventField] {
        switch self {
        case .poweredOn: [.init("firmware", .hex(digits: 8))]
        case .poweredOff, .booted: []
        case .restarting: [.init("delay", .duration)]
        case .dropped:
            [
                .init("reason", .dropReason), .init("from", .hex(digits: 4)),
                .init("frame", .decimal),
            ]
        case .outputLost: [.init("count", .decimal)]
        case .flashDamaged: [.init("record", .decimal)]
        case .panFormed:
            [
                .init("pan", .hex(digits: 4)), .init("channel", .decimal),
                .init("extendedPAN", .eui64),
            ]
        case .associated, .joined, .rejoined:
            [.init("address", .hex(digits: 4)), .init("parent", .hex(digits: 4))]
        case .networkResumed:
            [
                .init("pan", .hex(digits: 4)), .init("address", .hex(digits: 4)),
                .init("frameCounter", .decimal),
            ]
        case .associationRefused, .deviceNotLogged:
            [.init("device", .eui64), .init("reason", .refusal)]
        case .mirrorAllotted: [.init("device", .eui64), .init("endpoint", .decimal)]
        case .deviceDescribed:
            [.init("device", .eui64), .init("applicationDevice", .hex(digits: 4))]
        case .networkKeyReceived, .networkKeySwitched: [.init("sequence", .decimal)]
        case .left, .childAged, .deviceRemoved, .deviceAnnounced:
            [.init("device", .eui64), .init("address", .hex(digits: 4))]
        case .transmitFailed:
            [.init("to", .hex(digits: 4)), .init("status", .transmitStatus)]
        case .indirectExpired: [.init("to", .hex(digits: 4))]
        case .joinFailed: [.init("reason", .refusal), .init("retryIn", .duration)]
        case .deviceUpdated:
            [.init("device", .eui64), .init("address", .hex(digits: 4)), .init("status", .decimal)]
        case .routeFound:
            [.init("to", .hex(digits: 4)), .init("via", .hex(digits: 4)), .init("cost", .decimal)]
        case .routeLost:
            [
                .init("to", .hex(digits: 4)), .init("reporter", .hex(digits: 4)),
                .init("status", .decimal),
            ]
        case .apsRetry, .apsGaveUp:
            [.init("to", .hex(digits: 4)), .init("counter", .decimal), .init("try", .decimal)]
        case .linkKeyEstablished: [.init("partner", .eui64), .init("suite", .decimal)]
        case .linkKeyRefused:
            [
                .init("partner", .eui64), .init("reason", .refusal),
                .init("byPartner", .yesNo),
            ]
        case .tunnelOpened:
            [.init("partner", .eui64), .init("tunnel", .decimal), .init("maximum", .decimal)]
        case .tunnelClosed: [.init("partner", .eui64), .init("tunnel", .decimal)]
        case .tunnelRefused, .tunnelFailed:
            [.init("partner", .eui64), .init("status", .decimal)]
        case .tunnelMessageQueued:
            [.init("device", .eui64), .init("size", .decimal), .init("waiting", .decimal)]
        case .tunnelMessageSent, .tunnelMessageReceived, .tunnelMessageNotRetrieved:
            [.init("device", .eui64), .init("size", .decimal)]
        case .tunnelMessageLost:
            [.init("device", .eui64), .init("size", .decimal), .init("reason", .refusal)]
        case .notificationFlags: [.init("flags", .hex(digits: 8))]
        case .otaServerFound:
            [
                .init("server", .eui64), .init("address", .hex(digits: 4)),
                .init("endpoint", .decimal),
            ]
        case .otaQueried:
            [
                .init("manufacturer", .hex(digits: 4)), .init("imageType", .hex(digits: 4)),
                .init("version", .hex(digits: 8)),
            ]
        case .otaNotOffered: [.init("status", .zclStatus)]
        case .otaDownloadStarted, .otaDownloadResumed:
            [
                .init("version", .hex(digits: 8)), .init("size", .decimal),
                .init("offset", .decimal),
            ]
        case .otaProgress:
            [
                .init("offset", .decimal), .init("size", .decimal), .init("blocks", .decimal),
                .init("version", .hex(digits: 8)),
            ]
        case .otaWaiting: [.init("delay", .duration), .init("minimumBlockPeriod", .decimal)]
        case .otaVerified:
            [
                .init("version", .hex(digits: 8)), .init("blocks", .decimal),
                .init("hash", .digest),
            ]
        case .otaRejected:
            [
                .init("version", .hex(digits: 8)), .init("reason", .refusal),
                .init("blocks", .decimal),
            ]
        case .otaAwaitingActivation: [.init("version", .hex(digits: 8))]
        case .otaCountingDown: [.init("version", .hex(digits: 8)), .init("delay", .duration)]
        case .otaGaveUp, .otaAborted:
            [
                .init("version", .hex(digits: 8)), .init("offset", .decimal),
                .init("blocks", .decimal),
            ]
        case .activationOrdered: [.init("hash", .digest)]
        case .activationRefused: [.init("reason", .refusal), .init("version", .hex(digits: 8))]
        case .activated: [.init("from", .hex(digits: 8)), .init("to", .hex(digits: 8))]
        case .otaClientAbsent: [.init("version", .hex(digits: 8))]
        case .otaStoppedAsking: [.init("version", .hex(digits: 8)), .init("status", .zclStatus)]
        case .otaFileReceived:
            [
                .init("imageType", .hex(digits: 4)), .init("version", .hex(digits: 8)),
                .init("size", .decimal),
            ]
        case .clockSet: [.init("utc", .decimal), .init("endpoint", .decimal)]
        case .imageArriving: [.init("delivery", .decimal), .init("size", .decimal)]
        case .imageStored:
            [
                .init("delivery", .decimal), .init("manufacturer", .hex(digits: 4)),
                .init("imageType", .hex(digits: 4)), .init("version", .hex(digits: 8)),
                .init("size", .decimal),
            ]
        case .imageDiscarded: [.init("delivery", .decimal), .init("reason", .refusal)]
        case .imageOffered:
            [.init("device", .eui64), .init("version", .hex(digits: 8)), .init("size", .decimal)]
        case .imageWithheld: [.init("device", .eui64), .init("reason", .refusal)]
        case .downloadServed:
            [
                .init("device", .eui64), .init("version", .hex(digits: 8)),
                .init("status", .zclStatus),
            ]
        case .versionRead: [.init("device", .eui64), .init("version", .hex(digits: 8))]
        case .deviceLogged: [.init("device", .eui64)]
        case .imageNotified: [.init("device", .eui64), .init("version", .hex(digits: 8))]
        case .wanMessageRefused: [.init("delivery", .decimal), .init("reason", .refusal)]
        case .versionNotRead: [.init("device", .eui64), .init("status", .zclStatus)]
        case .commandRefused:
            [
                .init("device", .eui64), .init("command", .hex(digits: 2)),
                .init("status", .zclStatus),
            ]
        case .messageReceived, .messageSent:
            [
                .init("code", .messageCode), .init("kind", .messageKind),
                .init("originator", .eui64), .init("recipient", .eui64),
                .init("counter", .decimal), .init("detail", .hex(digits: 4)),
            ]
        case .messageDropped:
            [
                .init("reason", .dropReason), .init("code", .messageCode),
                .init("kind", .messageKind), .init("originator", .eui64),
                .init("recipient", .eui64), .init("counter", .decimal),
            ]
        case .securityLogged: [.init("code", .hex(digits: 4)), .init("utc", .decimal)]
        case .activationScheduled: [.init("utc", .decimal), .init("hash", .digest)]
        case .activationCancelled: [.init("utc", .decimal)]
        case .supplierChanged: [.init("entity", .eui64), .init("supplier", .eui64)]
        case .messageRead:
            [
                .init("code", .messageCode), .init("kind", .messageKind),
                .init("originator", .eui64), .init("recipient", .eui64),
                .init("counter", .decimal), .init("verdict", .verdict),
            ]
        case .requestAnswered:
            [
                .init("variant", .word), .init("code", .word), .init("user", .eui64),
                .init("target", .eui64), .init("counter", .decimal),
            ]
        case .noticeSent:
            [
                .init("number", .decimal), .init("code", .word), .init("user", .eui64),
                .init("device", .eui64),
            ]
        case .runStarted: [.init("utc", .decimal)]
        case .stepStarted, .stepPassed, .stepFailed: [.init("step", .step)]
        case .runEnded: [.init("passed", .yesNo)]
        case .nodeLost: [.init("reason", .refusal)]
        case .benchOrdered: [.init("order", .benchOrder), .init("device", .eui64)]
        }
    }

    /// Whether a director is told of it: steps in a device's life, nothing that frames cause one by
    /// one.
    public var isMilestone: Bool {
        switch self {
        case .dropped, .transmitFailed, .apsRetry, .otaWaiting, .indirectExpired,
            .otaQueried, .deviceAnnounced, .runStarted, .stepStarted, .stepPassed, .stepFailed,
            .runEnded, .imageNotified, .commandRefused, .routeFound, .routeLost, .clockSet,
            .benchOrdered, .messageRead, .requestAnswered, .noticeSent:
            false
        default: true
        }
    }

    /// Whether only the bench, its director or the air itself can say so.
    public var isOfBench: Bool { rawValue >= Self.runStarted.rawValue }

    /// The value of a field that is a word: its first eight bytes, the last in the low byte.
    public static func word(_ text: some StringProtocol) -> UInt64 {
        text.utf8.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The word that such a value stands for.
    public static func text(of word: UInt64) -> String {
        var text = ""
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            let byte = UInt8(truncatingIfNeeded: word >> shift)
            // Somebody else's node may put anything there.
            guard (0x21...0x7E).contains(byte) else { continue }
            text.unicodeScalars.append(Unicode.Scalar(byte))
        }
        return text
    }
}

/// Why a frame, or what it carried, went no further.
public enum DropReason: UInt8, CaseIterable, Sendable {
    // Medium and chip
    case collision = 1
    case linkLoss = 2
    case receiverOff = 3
    case receiverOverrun = 4

    // MAC
    case macMalformed = 20
    case macUnexpected = 21
    case queueFull = 22
    case macDuplicate = 23

    // NWK
    case nwkMalformed = 40
    case nwkUnsecured = 41
    case nwkUnknownKey = 42
    case nwkBadMIC = 43
    case nwkReplayed = 44
    case nwkDuplicateBroadcast = 45
    case nwkRadiusSpent = 46
    case nwkNoRoute = 47
    case nwkUnexpected = 48

    // APS
    case apsMalformed = 60
    case apsUnsecured = 61
    case apsNoLinkKey = 62
    case apsBadMIC = 63
    case apsReplayed = 64
    case apsDuplicate = 65
    case apsNoEndpoint = 66
    case apsUnexpected = 67
    case apsFragment = 68
    case apsFragmentMismatch = 69
    case apsReassembliesFull = 70
    case apsReassemblyLate = 71

    // ZDO and ZCL
    case zdoMalformed = 80
    case zdoUnexpected = 81
    case zclMalformed = 82
    case zclUnexpected = 83
    case zclWrongDirection = 84
    case tunnelUnknown = 85
    case tunnelWrongDevice = 86
    case tunnelOverflow = 87

    // OTA cluster
    case otaWrongServer = 100
    case otaOutOfState = 101
    case otaWrongImage = 102
    case otaWrongOffset = 103
    case otaJitter = 104

    case tooLong = 120
    case notInDeviceLog = 121
    case counterSpent = 122
    case keyNotEstablished = 123

    // GBCS messages
    case messageMalformed = 140
    case messageNotForUs = 141
    case messageUnexpected = 142
    case messageUnknownOriginator = 143
    case messageWrongRole = 144
    case messageBadSignature = 145
    case messageBadMAC = 146
    case messageReplayed = 147
    case messageBadContent = 148
    case messageQueueFull = 149
    case messageRestarting = 150

    public var name: String { "\(self)" }
}

/// What somebody at the bench had the air do (`benchOrdered`).
public enum BenchOrder: UInt8, CaseIterable, Sendable {
    // Over the WAN; an image's parts say nothing that its begin and end do not
    case beginImage = 0
    case endImage = 2
    case activateHub = 3
    case readVersion = 4
    case message = 7

    // To a node
    case activate = 20
    case queryNextImage = 21
    case queryDeviceFile = 22
    case cancelDownload = 23
    case permitJoining = 24
    case updateNetworkKey = 25
    case addDevice = 26
    case removeDevice = 27
    case changeSupplier = 28

    // To the air
    case powerOff = 40
    case powerOn = 41
    case changeLink = 42
    case injectFrame = 43

    public var name: String { "\(self)" }
}

/// Why something that was asked for was not done.
public enum RefusalReason: UInt8, CaseIterable, Sendable {
    case none = 0
    // Joining
    case notInDeviceLog = 1
    case joiningClosed = 2
    case noBeacon = 3
    case noResponse = 4
    case panFull = 5
    case keyNotReceived = 6
    case addressTaken = 7
    case deviceLogFull = 8
    // Offering an image
    case noImage = 20
    case notTargeted = 21
    case hubLacksSupport = 22
    case wrongManufacturer = 23
    case wrongImageType = 24
    case wrongHardware = 25
    case versionInstalled = 26
    case typeUnknown = 27
    // An image as a device or hub finds it
    case malformedImage = 40
    case sizeMismatch = 41
    case versionMismatch = 42
    case badSignature = 43
    case noSignature = 44
    case imageTooLarge = 45
    case storeFull = 46
    case incomplete = 47
    case unknownTarget = 48
    case notInstallableFrom = 49
    // Activation
    case noImageHeld = 60
    case hashMismatch = 61
    case activationFailure = 62
    case notByOrder = 63
    case serverMayNotActivate = 64
    case restarting = 65
    case otherSupplier = 66
    // A node that is a process of its own
    case connectionLost = 80
    case unanswered = 81
    case misbehaved = 82
    case leftAir = 83
    // Establishing a link key
    case unknownIssuer = 100
    case badKeyConfirm = 101
    case badMessage = 102
    case noResources = 103
    case unsupportedSuite = 104
    case invalidCertificate = 105
    case partnerSilent = 106
    case noServer = 107
    // Messages in tunnels
    case messageTooLong = 110
    case queueFull = 111
    case notDelivered = 112

    public var name: String { "\(self)" }
}

extension RefusalReason {
    /// Why a node is lost, in plain words.
    public var lossWords: String {
        switch self {
        case .connectionLost: "the connection to its process is gone"
        case .unanswered: "its process did not answer in time"
        case .misbehaved: "it was put off the air for what it sent"
        case .leftAir: "its process left the air"
        default: name
        }
    }
}
