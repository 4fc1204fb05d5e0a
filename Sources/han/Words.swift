import Evidence
import Lab
import Wire

/// How progress and results put things to people.
enum Words {
    /// `0x01050200`
    static func version(_ version: UInt32) -> String {
        "0x" + Hex.string(UInt64(version), digits: 8)
    }

    /// `0x0084`
    static func code(_ code: UInt16) -> String { "0x" + Hex.string(UInt64(code), digits: 4) }

    /// Hours, minutes and seconds: `25:03:09`.
    static func clock(_ time: Interval) -> String {
        let seconds = max(0, time.microseconds / 1_000_000)
        return "\(seconds / 3600):" + twoDigits(seconds / 60 % 60) + ":" + twoDigits(seconds % 60)
    }

    /// A length of time in its two biggest units: `1 d 4 h`, `12 min 5 s`, `3.2 s`.
    static func duration(_ time: Interval) -> String {
        let seconds = max(0, time.microseconds / 1_000_000)
        if seconds < 60 { return decimal(time.inSeconds, places: 1) + " s" }
        let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")] as [(Int64, String)]
        // A day and a bit reads better in hours.
        let first = seconds >= 2 * 86_400 ? 0 : seconds >= 3600 ? 1 : 2
        let (unit, name) = units[first]
        var text = "\(seconds / unit) \(name)"
        if first + 1 < units.count {
            let (next, nextName) = units[first + 1]
            if seconds % unit / next > 0 { text += " \(seconds % unit / next) \(nextName)" }
        }
        return text
    }

    /// `12,345`
    static func count(_ number: UInt64) -> String {
        var groups: [Substring] = []
        var digits = String(number)[...]
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        return ([digits] + groups).joined(separator: ",")
    }

    static func decimal(_ number: Double, places: Int) -> String {
        guard number.isFinite, abs(number) < 1e12 else { return "?" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = UInt64((abs(number) * scale).rounded())
        let digits = String(scaled)
        let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
        return places == 0 ? padded : padded.dropLast(places) + "." + padded.suffix(places)
    }

    /// `A`, `A and B`, `A, B and C`
    static func list(_ words: [String]) -> String {
        guard let last = words.last else { return "nothing" }
        guard words.count > 1 else { return last }
        return words.dropLast().joined(separator: ", ") + " and " + last
    }

    /// The first of them, and how many more there are.
    static func some(_ words: [String], of limit: Int) -> [String] {
        guard words.count > limit else { return words }
        return words.prefix(limit) + ["\(words.count - limit) more"]
    }

    private static func twoDigits(_ number: Int64) -> String {
        (number < 10 ? "0" : "") + String(number)
    }

    /// The reason of an attempt in the summary, in words.
    static func reason(_ name: String) -> String {
        if name == AttemptRecord.noClientReason {
            return "its firmware has no OTA client, so it never asks"
        }
        return RefusalReason.allCases.first { $0.name == name }?.words ?? name
    }
}

extension RefusalReason {
    /// The reason in words, as an answer to "why?".
    var words: String {
        switch self {
        case .none: "no reason was given"
        case .notInDeviceLog: "it is not in the hub's device log"
        case .joiningClosed: "the hub is not open for joining"
        case .noBeacon: "no network was heard"
        case .noResponse: "there was no answer"
        case .panFull: "the network is full"
        case .keyNotReceived: "the network key did not arrive"
        case .addressTaken: "another device has the network address that its router gave it"
        case .deviceLogFull: "the hub's device log is full"
        case .noImage: "the hub holds no image for it"
        case .notTargeted: "the image is meant for other devices"
        case .typeUnknown: "the hub does not know yet what it is"
        case .hubLacksSupport: "the hub's own firmware cannot update this type of device"
        case .wrongManufacturer: "the image is another manufacturer's"
        case .wrongImageType: "the image is of another image type"
        case .wrongHardware: "the image is for other hardware"
        case .versionInstalled: "it runs this version already"
        case .malformedImage: "the image is broken"
        case .sizeMismatch: "the image has another size than was said"
        case .versionMismatch: "the image has another version than was said"
        case .badSignature: "the image's signature is wrong"
        case .noSignature: "the image has no signature that could be checked"
        case .imageTooLarge: "the image is too large to be stored"
        case .storeFull: "there is no room for the image"
        case .incomplete: "the image did not arrive whole"
        case .unknownTarget: "the image is for none of the hub's devices"
        case .notInstallableFrom: "the image may not follow the version that runs"
        case .noImageHeld: "no image is held"
        case .hashMismatch: "another image is held than the order names"
        case .activationFailure: "activation failed"
        case .notByOrder: "it is not activated by order"
        case .serverMayNotActivate: "it is activated by order only"
        case .restarting: "it is about to restart"
        case .otherSupplier: "another supplier sent the image"
        case .connectionLost, .unanswered, .misbehaved, .leftAir: lossWords
        case .unknownIssuer: "its certificate's authority is not known"
        case .badKeyConfirm: "the two sides did not come to the same key"
        case .badMessage: "a command of key establishment was wrong"
        case .noResources: "the hub establishes keys with too many others"
        case .unsupportedSuite: "the cryptographic suite is not supported"
        case .invalidCertificate: "its certificate cannot be used"
        case .partnerSilent: "the other side fell silent"
        case .noServer: "the other side establishes no keys"
        case .messageTooLong: "the message is empty, or longer than its tunnel takes"
        case .queueFull: "too many messages wait already"
        case .notDelivered: "there was no tunnel for it in time"
        }
    }
}

extension AttemptOutcome {
    var words: String {
        switch self {
        case .updated: "updated"
        case .notOffered: "not offered"
        case .rejected: "rejected"
        case .gaveUp: "gave up"
        case .notActivated: "not activated"
        case .discarded: "discarded"
        case .incomplete: "incomplete"
        }
    }

    var tone: Tone {
        switch self {
        case .updated: .good
        case .notOffered, .discarded: .warning
        case .rejected, .gaveUp, .notActivated, .incomplete: .bad
        }
    }
}
