import Console
import DCC
import GBCS
import Testing
import Tracking
import Wire

/// A town that is in the middle of things.
enum Sample {
    static let user = EUI64(0x90B3_D51F_3001_0000)
    static let hub = EUI64(0x0247_4200_0000_0001)
    static let esme = EUI64(0x0247_4200_0000_0101)
    static let ppmid = EUI64(0x0247_4200_0000_0103)
    static let hcalcs = EUI64(0x0247_4200_0000_0104)
    static let start = UTCTime(secondsSince2000: 825_757_200)

    static func id(_ counter: UInt64) -> RequestID {
        RequestID(originator: user, target: EUI64(0x90B3_D51F_3000_0002), counter: counter)
    }

    static func time(_ seconds: UInt32) -> UTCTime {
        UTCTime(secondsSince2000: start.secondsSince2000 + seconds)
    }

    static let status = WorldStatus(
        time: time(7_265), pace: "x3600", rate: 3_600, release: "June 2022",
        homes: [
            HomeStatus(
                name: "standard",
                nodes: [
                    NodeStatus(
                        name: "CH", role: "CH", eui64: hub, firmware: 0x0105_0200,
                        gbcsVersion: "3.2", isOn: true),
                    NodeStatus(
                        name: "ESME", role: "ESME", eui64: esme, firmware: 0x0301_0407,
                        gbcsVersion: "3.2", isOn: true, percent: 42),
                    NodeStatus(
                        name: "PPMID", role: "PPMID", eui64: ppmid, firmware: 0x0100_0309,
                        isOn: true),
                    NodeStatus(
                        name: "HCALCS", role: "HCALCS", eui64: hcalcs, firmware: 0x0101_0205,
                        isOn: false),
                ])
        ])

    static let image = ImageSummary(
        id: "ppmid-2", deviceType: "PPMID", manufacturer: "1A2B", model: "P1",
        version: 0x0101_0204, hash: String(repeating: "AB", count: 32), status: "Active")

    static let steps = [
        DemoRunState.Step(
            title: "11.4 for the PPMID", state: .done,
            detail: "Refused: the hub's GBCS version is too old (W110401).", request: id(1_003)),
        DemoRunState.Step(
            title: "Update the hub", state: .running, detail: "The hub fetches its own image."),
        DemoRunState.Step(title: "11.4 again"),
        DemoRunState.Step(title: "The PPMID runs the new firmware"),
    ]

    /// What a PPMID says of its new firmware (CS09).
    static func alert() throws -> [UInt8] {
        let time = try #require(GeneralizedTime("2026-03-04T05:06:07Z"))
        let content = MessageContent.ppmidFirmwareAlert(
            PPMIDFirmwareAlert(time: time, version: 0x0101_0204, result: 0))
        let header = GroupingHeader(
            kind: .alert, counter: 776, originator: ppmid, recipient: user,
            otherInformation: OtherInformation(.ppmidFirmwareAlert))
        return GBCSMessage(header: header, payload: content.encoded()).encoded()
    }

    static let wall = 1_790_000_000.0

    static func request(
        _ counter: UInt64, _ variant: String, _ code: String = "I0", at seconds: UInt32
    ) -> SubmittedRequest {
        SubmittedRequest(
            id: id(counter), user: user, variant: variant, version: "01010204",
            fileVersion: 0x0101_0204, manufacturer: variant == "11.4" ? "1A2B" : "1001",
            model: variant == "11.4" ? "P1" : "E3", type: variant == "11.4" ? .ppmid : .esme,
            code: ResponseCode(rawValue: code), received: time(seconds), receivedWall: wall)
    }

    static func target(
        _ counter: UInt64, _ device: EUI64, _ type: InventoryType, _ status: TrackingStatus,
        _ reason: String, at seconds: UInt32
    ) -> SubmittedTarget {
        SubmittedTarget(
            request: id(counter), device: device, hub: hub, type: type,
            manufacturer: type == .ppmid ? "1A2B" : "1001", model: type == .ppmid ? "P1" : "E3",
            fromVersion: 0x0100_0309, toVersion: 0x0101_0204, status: status, reason: reason,
            time: time(seconds))
    }

    static func track(
        _ counter: UInt64, _ device: EUI64?, _ status: TrackingStatus, percent: Int? = nil,
        _ detail: String, at seconds: UInt32, message: [UInt8]? = nil, notice: UInt64? = nil
    ) -> TrackingRecord {
        TrackingRecord(
            request: id(counter), device: device, status: status, percent: percent, detail: detail,
            time: time(seconds), message: message, notice: notice)
    }

    /// Five requests; of the last one's fifty PPMIDs 31 are updated and one is not, and their user
    /// knows of ten of those and of the failure.
    static var stored: StoreChange {
        var change = StoreChange(wall: wall)
        change.submitted = [
            request(1_001, "11.1", at: 10), request(1_002, "11.1", "W110101", at: 400),
            request(1_003, "11.4", "W110401", at: 900),
            request(1_004, "11.1", "E110102", at: 1_200), request(1_005, "11.4", at: 1_300),
        ]
        let old = "The hub's GBCS version 3.2 is older than 4.0."
        change.targets = [
            target(1_001, esme, .esme, .validated, "", at: 10),
            target(1_002, esme, .esme, .activated, "It runs 0x01010204.", at: 800),
            target(1_002, hcalcs, .hcalcs, .refused, old, at: 400),
            target(1_003, ppmid, .ppmid, .refused, old, at: 900),
        ]
        for number in 0..<50 as Range<UInt64> {
            let status: TrackingStatus =
                number < 31 ? .activated : number < 49 ? .atCSP : .deliveryFailed
            change.targets.append(
                target(
                    1_005, EUI64(ppmid.rawValue + 0x100 + number), .ppmid, status, "", at: 1_300))
            if number < 10 || number == 49 {
                change.tracks.append(
                    track(
                        1_005, EUI64(ppmid.rawValue + 0x100 + number), .reported,
                        "Its user has it.", at: 1_400))
            }
        }
        change.tracks += [
            track(1_001, esme, .atCSP, "Region north, first attempt in 60 s.", at: 11),
            track(1_001, esme, .delivering, "Attempt 1 of 3.", at: 71),
            track(1_001, esme, .deliveredToHub, "The hub holds the image.", at: 95, notice: 1),
            track(
                1_001, esme, .offered, "The ESME was offered 0x01010204.", at: 110,
                message: Array("no message".utf8)),
            track(1_001, esme, .downloading, percent: 42, "The ESME has 42 %.", at: 300),
        ]
        change.notices = [
            StoredNotice(
                number: 1, user: user, bytes: [1], summary: "N60: delivered to the hub",
                request: id(1_001), device: esme, time: time(95), wall: wall, state: .received,
                attempts: 1),
            StoredNotice(
                number: 2, user: user, bytes: [2], summary: "N61: not delivered",
                request: id(1_002), device: hcalcs, time: time(800), wall: wall + 1, state: .kept,
                attempts: 61),
        ]
        change.clock = status.time
        return change
    }
}
