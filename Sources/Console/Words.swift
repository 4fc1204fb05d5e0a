import DCC
import Foundation
import GBCS
import Tracking
import Wire

/// How things are written for people.
enum Words {
    /// `2026-03-02 14:05:10`, UTC.
    static func time(_ time: UTCTime) -> String {
        String(time.iso8601.dropLast()).replacing("T", with: " ")
    }

    /// Of seconds since 1970, to the second.
    static func wall(_ seconds: Double) -> String {
        let time = max(0, seconds - 946_684_800)
        return Self.time(UTCTime(secondsSince2000: UInt32(min(time, Double(UInt32.max)))))
    }

    static func version(_ version: UInt32) -> String {
        "0x" + Hex.string(UInt64(version), digits: 8)
    }

    /// `1,278`
    static func count(_ number: Int) -> String {
        var text = ""
        let digits = String(number)
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    static func plural(_ number: Int, _ noun: String) -> String {
        "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// For the `id` of an element: what is neither letter nor digit becomes `-`.
    static func key(_ text: String) -> String {
        String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
    }

    /// All but letters, digits and `-._~`.
    static func percentEncoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.append(Character(UnicodeScalar(byte)))
            default: result += "%" + Hex.string(UInt64(byte), digits: 2)
            }
        }
        return result
    }

    static func name(of variant: String) -> String {
        switch variant {
        case "11.1": "Update Firmware"
        case "11.2": "Read Firmware Version"
        case "11.3": "Activate Firmware"
        case "11.4": "Update PPMID Firmware"
        case "12.2": "Device Pre-notification"
        case "8.2": "Read Inventory"
        case "8.4": "Update Inventory"
        case "8.11": "Update HAN Device Log"
        default: "Service request"
        }
    }
}

/// What stands in a coloured field: words, and a mark that does not need the colour.
struct Badge {
    var words: String
    var mark: String
    /// Of the style sheet.
    var `class`: String
}

extension TrackingOutcome {
    var mark: String {
        switch self {
        case .underWay: "●"
        case .done: "✓"
        case .failed: "✕"
        case .refused: "⊘"
        }
    }

    var words: String {
        switch self {
        case .underWay: "under way"
        case .done: "done"
        case .failed: "failed"
        case .refused: "refused"
        }
    }
}

extension ProcessingStatus {
    var badge: Badge {
        switch self {
        case .refused: Badge(words: "Refused", mark: "⊘", class: "refused")
        case .inProgress: Badge(words: "In progress", mark: "●", class: "underWay")
        case .failed: Badge(words: "Failed", mark: "✕", class: "failed")
        case .doneInPart: Badge(words: "Done in part", mark: "◐", class: "part")
        case .done: Badge(words: "Done", mark: "✓", class: "done")
        }
    }
}

extension TrackingStatus {
    var badge: Badge { Badge(words: words, mark: outcome.mark, class: outcome.rawValue) }

    var words: String {
        switch self {
        case .submitted: "Submitted"
        case .refused: "Refused"
        case .validated: "Validated"
        case .atCSP: "At the CSP"
        case .delivering: "On its way to the hub"
        case .deliveredToHub: "At the hub"
        case .deliveryFailed: "Not delivered"
        case .offered: "Offered"
        case .downloading: "Downloading"
        case .transferred: "Downloaded"
        case .transferFailed: "Download failed"
        case .verified: "Verified"
        case .rejected: "Rejected by the device"
        case .activationOrdered: "Activation ordered"
        case .activationPending: "Activation pending"
        case .activated: "Activated"
        case .activationFailed: "Activation failed"
        case .notActivated: "Not activated"
        case .reported: "Reported"
        case .commandSent: "Command sent"
        case .answered: "Answered"
        case .unanswered: "Not answered"
        case .carriedOut: "Carried out"
        }
    }

    /// What it means, in a sentence.
    var explanation: String {
        switch self {
        case .submitted: "The request has reached the DSP."
        case .refused: "The DSP does not carry the request out for this device."
        case .validated: "The DSP has let it in."
        case .atCSP: "The image waits at the Communications Service Provider for its delivery."
        case .delivering: "The image is being sent to the Communications Hub over the WAN."
        case .deliveredToHub: "The hub holds the image and offers it to its device (N60)."
        case .deliveryFailed: "The image did not get as far as the hub (N61)."
        case .offered: "The device has asked the hub and was offered the image."
        case .downloading: "The device fetches the image block by block over the HAN."
        case .transferred: "The device has all of the image."
        case .transferFailed: "The device did not get the image."
        case .verified: "The device has checked the image and found it good (8F72)."
        case .rejected: "The device has checked the image and will not take it (8F1C)."
        case .activationOrdered: "The order to activate the image is on its way."
        case .activationPending: "The device will activate the image later."
        case .activated: "The device runs the new firmware."
        case .activationFailed: "The device did not change to the new firmware."
        case .notActivated: "The device has the image and has not come to run it."
        case .reported: "Its user has acknowledged what became of it."
        case .commandSent: "A command is on its way to the device."
        case .answered: "The device has answered the command."
        case .unanswered: "No answer came in time."
        case .carriedOut: "The DSP has changed its inventory as it was asked to."
        }
    }
}
