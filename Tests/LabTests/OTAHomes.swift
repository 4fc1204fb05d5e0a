import Crypto
import Devices
import Foundation
import GBCS
import Lab
import TestSupport
import Testing
import Wire

/// A story's evidence, for tests that look into it.
struct Told {
    var result: RunResult
    var events: [[String: Any]]
    var folder: TemporaryFolder

    /// Runs a story and reads what it left behind.
    init(
        _ home: Home, images: [RunImage], _ steps: [ScenarioStep.Action], named name: String,
        within: Interval = .hours(48)
    ) throws {
        folder = try TemporaryFolder()
        result = try Stories.run(
            home, images: images, steps, named: name, within: within, folder: folder.path)
        let text = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8)
        events = try text.split(separator: "\n").map { line in
            let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(value as? [String: Any])
        }
    }

    func events(_ kind: String, of node: String? = nil) -> [[String: Any]] {
        events.filter {
            $0["event"] as? String == kind && (node == nil || $0["node"] as? String == node)
        }
    }

    /// When such an event came first.
    func time(_ kind: String, of node: String? = nil) throws -> Double {
        try #require(events(kind, of: node).first?["time"] as? Double, "no \(kind)")
    }

    func drops(_ reason: String) -> Int {
        events("dropped").count { $0["reason"] as? String == reason }
    }

    /// The OTA commands of one number that were sent, as tshark sees them.
    func frames(
        _ command: Int, fromServer: Bool = false, fields: [String] = []
    ) throws -> [Tshark.Row] {
        let side = fromServer ? "srv_tx" : "srv_rx"
        return try Tshark.rows(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys"),
            fields: ["wpan.src16", "frame.time_relative"] + fields,
            filter: "zbee_zcl_general.ota.cmd.\(side).id == \(command)")
    }

    /// What tshark takes exception to.
    func complaints() throws -> [Tshark.Complaint] {
        try Tshark.judge(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys")
        ).complaints
    }
}

extension Homes {
    /// A hub with SECMP0007 whose profile is changed.
    static func newHub(_ change: (inout HubProfile) -> Void) -> HomeHub {
        var home = hub(firmware: 0x0200_0000)
        change(&home.profile)
        return home
    }

    /// An image for `device` with whatever is to be different.
    static func image(
        named name: String, for device: HomeDevice, version: UInt32 = 0x0200_0000,
        size: Int = 5_003, forceReplace: Bool = false, installableFrom: [UInt32] = [],
        header change: (inout OTAHeader) -> Void = { _ in }
    ) throws -> RunImage {
        let profile = device.profile
        var header = OTAHeader(
            manufacturerCode: profile.manufacturer,
            imageType: ImageType(rawValue: profile.imageType), fileVersion: version)
        change(&header)
        let payload = FirmwareImage.samplePayload(size: size, seed: UInt64(version) + 7)
        let image =
            profile.type == .ppmid
            ? try FirmwareImage.unsigned(header: header, manufacturerImage: payload)
            : try .signed(
                header: header, manufacturerImage: payload, forceReplace: forceReplace,
                by: supplier)
        return RunImage(
            name: name, bytes: image.encoded(), version: version,
            hash: image.manufacturerImageHash, installableFrom: installableFrom)
    }

    /// Blocks of 48 bytes that a signed image of `size` bytes takes.
    static func blocks(_ size: Int) -> UInt64 { UInt64((60 + size + 66 + 47) / 48) }
}
