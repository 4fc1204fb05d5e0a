import Crypto
import Evidence
import Wire

/// One image sent for one device, and what came of it.
public struct AttemptRecord: Sendable {
    public var device: Int
    public var image: String
    public var version: UInt32
    public var hash: Digest256
    public var hubFirmware: UInt32
    public var delivery: UInt32
    public var began: Instant
    public var ended: Instant?
    public var milestones: Set<ScenarioStep.Milestone> = []
    /// Why it was not offered, was discarded or rejected, or nothing more comes of it.
    public var reason = RefusalReason.none
    /// Why the device, which has had the image ever since, did not put it into use when it was
    /// told to.
    var activationRefusal = RefusalReason.none
    public var hubDiscarded = false
    /// The hub has the image, or has thrown it away: from here on what the device is told is
    /// about it.
    public var hasArrived = false
    public var hasNoClient = false
    public var blocks: UInt64 = 0
    /// Bytes of the image that the device has, as it last told: about every fiftieth of it.
    public var offset: UInt64 = 0
    /// Blocks of a download that was given up before the present one.
    var earlierBlocks: UInt64 = 0
    public var framesBefore: UInt64 = 0
    public var framesAfter: UInt64 = 0

    /// Whether a download that begins now still belongs to it although it had ended.
    var isReopened: Bool {
        ended != nil && (milestones.contains(.gaveUp) || milestones.contains(.notOffered))
    }
}

extension AttemptRecord {
    /// How the attempt ended, in the summary's words.
    public var outcome: AttemptOutcome {
        if milestones.contains(.updated) { return .updated }
        if milestones.contains(.rejected) { return .rejected }
        if milestones.contains(.gaveUp) { return .gaveUp }
        if milestones.contains(.verified) { return .notActivated }
        // A hub whose firmware cannot update this type of device offers it nothing, whatever else
        // becomes of the image.
        if hubDiscarded, reason != .hubLacksSupport { return .discarded }
        if milestones.contains(.notOffered) { return .notOffered }
        if hubDiscarded { return .discarded }
        if hasNoClient { return .notOffered }
        return .incomplete
    }

    /// The reason in the summary of a device whose firmware has no OTA client.
    public static let noClientReason = "noOTAClient"

    /// Why it did not end `updated`, as the summary has it.
    public var reasonName: String? {
        if reason != .none { return reason.name }
        if activationRefusal != .none, outcome == .notActivated { return activationRefusal.name }
        return hasNoClient ? Self.noClientReason : nil
    }
}
