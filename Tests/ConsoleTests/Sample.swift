import Console
import DCC
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

    static func device(
        _ counter: UInt64, _ device: EUI64, _ type: InventoryType, _ status: TrackingStatus,
        percent: Int? = nil, detail: String, at seconds: UInt32
    ) -> TrackedDevice {
        TrackedDevice(
            request: id(counter), variant: type == .ppmid ? "11.4" : "11.1", device: device,
            hub: hub, type: type, manufacturer: type == .ppmid ? "1A2B" : "1001",
            model: type == .ppmid ? "P1" : "E3", from: 0x0100_0309, to: 0x0101_0204,
            status: status, percent: percent, detail: detail, time: time(seconds),
            wall: 1_790_000_000 + Double(seconds) / 3_600)
    }

    static func request(
        _ counter: UInt64, _ variant: String, _ code: String, at seconds: UInt32,
        _ counts: [TrackingStatus: Int]
    ) -> TrackedRequest {
        TrackedRequest(
            id: id(counter), user: user, variant: variant, version: "01010204",
            model: variant == "11.4" ? "P1" : "E3",
            manufacturer: variant == "11.4" ? "1A2B" : "1001",
            code: ResponseCode(rawValue: code), received: time(seconds),
            wall: 1_790_000_000 + Double(seconds) / 3_600, changed: time(seconds + 60),
            counts: counts)
    }

    static var rows: StandInTracking.Rows {
        var rows = StandInTracking.Rows()
        rows.requests = [
            request(1_001, "11.1", "I0", at: 10, [.downloading: 1]),
            request(1_002, "11.1", "W110101", at: 400, [.activated: 1, .refused: 1]),
            request(1_003, "11.4", "W110401", at: 900, [.refused: 1]),
            request(1_004, "11.1", "E110102", at: 1_200, [:]),
            request(
                1_005, "11.4", "I0", at: 1_300,
                [
                    .reported: 31_200, .atCSP: 18_000,
                    .deliveryFailed: 800,
                ]),
        ]
        rows.devices = [
            device(
                1_001, esme, .esme, .downloading, percent: 42,
                detail: "The ESME has 42 % of 0x01010204.", at: 300),
            device(
                1_002, esme, .esme, .activated, detail: "It runs 0x01010204.", at: 800),
            device(
                1_002, hcalcs, .hcalcs, .refused,
                detail: "The hub's GBCS version 3.2 is older than 4.0.", at: 400),
            device(
                1_003, ppmid, .ppmid, .refused,
                detail: "The hub's GBCS version 3.2 is older than 4.0.", at: 900),
        ]
        let steps: [(TrackingStatus, Int?, String, UInt32)] = [
            (.submitted, nil, "11.1 from 90-B3-D5-1F-30-01-00-00.", 10),
            (.validated, nil, "1 of 1 devices are let in: I0.", 10),
            (.atCSP, nil, "Region north, first attempt in 60 s.", 11),
            (.delivering, nil, "Attempt 1 of 3.", 71),
            (.deliveredToHub, nil, "The hub holds the image.", 95),
            (.offered, nil, "The ESME was offered 0x01010204.", 110),
            (.downloading, 42, "The ESME has 42 %.", 300),
        ]
        for (index, (status, percent, detail, seconds)) in steps.enumerated() {
            let isWhole = index < 2
            rows.events.append(
                (
                    id(1_001), isWhole ? nil : esme,
                    TrackedEvent(
                        row: Int64(index + 1), status: status, percent: percent, detail: detail,
                        time: time(seconds), wall: 1_790_000_000 + Double(seconds) / 3_600,
                        message: index == 5 ? Array("no message".utf8) : nil,
                        notice: index == 4 ? 1 : nil)
                ))
        }
        rows.notices = [
            TrackedNotice(
                number: 2, user: user, summary: "N61: not delivered", request: id(1_002),
                device: hcalcs, time: time(800), wall: 1_790_000_001, state: "kept", attempts: 61),
            TrackedNotice(
                number: 1, user: user, summary: "N60: delivered to the hub", request: id(1_001),
                device: esme, time: time(95), wall: 1_790_000_000, state: "received",
                attempts: 1),
        ]
        return rows
    }
}
