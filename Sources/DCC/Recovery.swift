import GBCS
import Wire

extension DCC {
    /// A good while after a restart of the world a device is known to run this version, and has not
    /// said so: the message that did was lost with what was on its way then. What it would have
    /// said counts.
    public mutating func found(
        _ version: UInt32, runningOn id: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let device = devices[id] else { return }
        if device.type == .chf {
            hubRuns(version, device, at: now, into: &out)
        } else if let request = update(of: id, where: { known, _, _ in known == version }) {
            record(version, of: device, into: &out)
            let text = Hex.string(UInt64(version), digits: 8)
            var notice: UInt64?
            if device.type == .ppmid {
                let code = AlertCode.ppmidFirmwareActivation
                notice = alert(
                    request.originator, .ppmidUpgrade,
                    .ppmidUpgrade(
                        device: id, alertCode: code.rawValue, time: now, version: text,
                        isSuccess: true), at: now, request: request, device: id, into: &out)
            }
            advance(
                id, of: request, to: .activated, "found to run \(text) after a restart",
                notice: notice,
                at: now, into: &out)
        }
        finish(&out)
    }
}
