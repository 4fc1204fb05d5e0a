import Wire
import Zigbee

extension FuzzTarget {
    /// The profile-wide commands to every cluster that a device or a hub serves.
    static func commands() -> [FuzzTarget] {
        [
            FuzzTarget("zcl-general", maximumLength: 100) {
                Prepared(seeds: generalSeeds()) { bytes in
                    guard let mode = bytes.first else { return }
                    let frame = FrameBuffer(bytes.dropFirst())
                    let message = APSMessage(
                        source: FrameSeeds.device, sourceEUI64: FrameSeeds.deviceEUI64,
                        sourceEndpoint: 1, destinationEndpoint: 1, cluster: ClusterID.basic,
                        profile: ProfileID.smartEnergy, isLinkSecured: mode & 1 != 0,
                        isBroadcast: mode & 2 != 0, wantedAcknowledgement: false, frame: frame,
                        payload: 0)
                    guard let zcl = try? ZCLMessage(message) else { return }
                    answer(zcl, mode)
                }
            }
        ]
    }

    private static func answer(_ zcl: ZCLMessage, _ mode: UInt8) {
        try? ZCLGeneral.forEachAttribute(in: zcl) { attribute in
            guard let length = attribute.type.length, length <= 8 else {
                found("an attribute of no length")
            }
        }
        var basic = ZCLBasic(isMainsPowered: mode & 4 != 0)
        var clock = ZCLTime(
            now: UTCTime(secondsSince2000: 1), status: mode & 8 != 0 ? .master : .synchronised)
        let reply =
            zcl.refusalOfManufacturer ?? (mode & 16 != 0 ? basic.answer(zcl) : clock.answer(zcl))
        guard let reply, !reply.isEmpty else { return }
        if reply.isOverflowed || reply.count > ZCLGeneral.frameLimit {
            found("an answer of \(reply.count) bytes")
        }
        if zcl.message.isBroadcast { found("an answer to a broadcast") }
        var reader = ByteReader(reply.span)
        guard let header = try? ZCLHeader(parsing: &reader),
            header.sequence == zcl.header.sequence,
            header.fromServer != zcl.header.fromServer
        else { found("an answer that is none: \(Hex.string(reply.bytes))") }
    }

    private static func generalSeeds() -> [[UInt8]] {
        let read = ZCLGeneral.readAttributes([0, 4, 7], toClient: false, sequence: 1).bytes
        let bodies = [
            "00010b0000", "00010100000020030000000700300001", "0001020000200312003001",
            "00010300002003", "0001040086", "00010500002003", "00010600000020010005000a",
            "000107000000", "0001080000000000", "00010a0000200300", "00010b0000", "00010c000008",
            "00010d0100002000", "0001110005", "0001130005", "0001150000ff", "0501000a0b0081",
        ]
        return ([read] + bodies.map { Hex.bytes($0) ?? [] }).map { [5] + $0 }
    }
}
