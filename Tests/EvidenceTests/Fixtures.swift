import Evidence
import Foundation
import Radio
import TestSupport
import Wire

/// A join and an image query between a hub and a PPMID, without their FCS. Sealed by Python's
/// `cryptography` (AES-CCM* level 5, the transport key under HMAC-MMO of the link key).
enum Sealed {
    static let networkKey = Key128((0x10..<0x20).map { UInt8($0) })!
    static let linkKey = Key128((0x50..<0x60).map { UInt8($0) })!
    static let keys = [(key: networkKey, label: "network"), (key: linkKey, label: "PPMID link")]

    static let beaconRequest = "030801ffffffff07"
    /// NWK unsecured; the APS command is under the key-transport key.
    static let transportKey =
        "618831175a214e00000800214e00001e0921073003000000010c00000000db00cbb0d5098db3db557b9c0900"
        + "c04132e1a17d90ee36c3169913be1e6ba3a48589dcc6560ad301ef"
    static let acknowledgement = "020031"
    static let queryNextImage =
        "618832175a0000214e48020000214e1e402801100000020a00000000db0000856394fdddffbb172240d6f71f"
        + "bbc473f0601c9964e5527714f405c29264e54ba2"
    static let apsAcknowledgement =
        "618833175a214e00004802214e00001e412801200000010c00000000db0000d4bf6c05dad35eab40145b7ca4"
        + "36f0cd8199567b13"
    static let noImageAvailable =
        "618834175a214e00004802214e00001e422802200000010c00000000db000073331d10715fa06e51e283d39b"
        + "90dcd59507cd5bf280dea4e3"

    static let conversation = [
        beaconRequest, transportKey, acknowledgement, queryNextImage, apsAcknowledgement,
        noImageAvailable,
    ].map { Hex.bytes($0)! }
}

/// The scenario start of these tests: 2024-03-01T09:00:00Z.
let start = UTCTime(secondsSince2000: 762_598_800)

let roster = Roster(naming: [
    (role: "CH", eui64: EUI64(0x00DB_0000_0000_0C01)),
    (role: "ESME", eui64: EUI64(0x00DB_0000_0000_0E01)),
    (role: "ESME", eui64: EUI64(0x00DB_0000_0000_0E02)),
    (role: "PPMID", eui64: EUI64(0x00DB_0000_0000_0A02)),
    (role: "director", eui64: nil),
])

/// The frame of `bytes`, which lack an FCS, sent 10 ms after the one numbered before it.
func frame(
    _ number: UInt64, _ bytes: [UInt8], sender: UInt16 = 0, rssi: Int8? = nil, lqi: UInt8? = nil,
    ending end: Instant? = nil
) -> FrameRecord {
    var psdu = FrameBuffer(bytes)
    psdu.append(CRC16.frameCheckSequence(psdu.span))
    let end = end ?? Instant(microseconds: Int64(number) * 10_000)
    let start = Instant(microseconds: end.microseconds - 192 - 32 * Int64(psdu.count))
    return FrameRecord(
        number: number, start: start, end: end, sender: sender, channel: 15, psdu: psdu,
        rssi: rssi, lqi: lqi)
}

func dropped(
    _ number: UInt64, by node: UInt16, _ reason: DropReason, at time: Instant
) -> EventRecord {
    EventRecord(
        time: time, node: node, kind: .dropped, UInt64(reason.rawValue), 0x4E21, number)
}

/// A finished run's folder.
struct Evidence {
    let scratch: TemporaryFolder
    let folder: OutputFolder

    /// Records what `body` gives to a recorder, and writes the keys beside it.
    init(
        keys: [(key: Key128, label: String)] = Sealed.keys, steps: [String] = [],
        useCases: (UInt16) -> String? = { _ in nil }, _ body: (Recorder) throws -> Void
    ) throws {
        scratch = try TemporaryFolder()
        folder = try OutputFolder(preparing: scratch.path("out"))
        let recorder = try Recorder(
            roster: roster, start: start, steps: steps, folder: folder, useCases: useCases)
        try body(recorder)
        try recorder.finish()
        try folder.write(WiresharkKeys.table(keys), to: .keys)
    }

    var capture: String { folder.path(of: .trace) }

    func bytes(_ file: OutputFolder.File) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: folder.path(of: file))))
    }

    /// The lines of `events.jsonl`.
    func lines() throws -> [String] {
        String(decoding: try bytes(.events), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    func judge() throws -> Tshark.Verdict {
        try Tshark.judge(capture: capture, keys: folder.path)
    }

    func rows(_ fields: [String], filter: String? = nil) throws -> [Tshark.Row] {
        try Tshark.rows(capture: capture, keys: folder.path, fields: fields, filter: filter)
    }
}
