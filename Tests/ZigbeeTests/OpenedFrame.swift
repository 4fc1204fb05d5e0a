import Crypto
import Radio
import Wire
import Zigbee

/// A NWK frame from the air as one sees it who has the network key.
struct OpenedFrame {
    var time: Instant
    var nwk: NWKHeader
    /// Nil for a NWK command.
    var aps: APSHeader?
    /// What stands behind the APS header, or behind a NWK command's NWK header.
    var payload: [UInt8]

    /// The NWK command it is.
    var command: NWKCommand? {
        guard nwk.kind == .command else { return nil }
        var reader = ByteReader(payload.span)
        return try? NWKCommand(parsing: &reader)
    }
}

extension World {
    /// What `sender` has sent from the tape's frame number `since` on, as far as it is secured
    /// with the network key; repeats of the MAC once.
    func opened(from sender: Int, since: Int = 0) -> [OpenedFrame] {
        var last: FrameBuffer?
        return tape.frames[since...].compactMap { record in
            guard Int(record.sender) == sender, record.psdu.count > 5, record.psdu != last else {
                return nil
            }
            last = record.psdu
            return opened(record)
        }
    }

    private func opened(_ record: FrameRecord) -> OpenedFrame? {
        var frame = record.psdu
        frame.truncate(to: frame.count - 2)
        var reader = ByteReader(frame.span)
        guard let mac = try? MACHeader(parsing: &reader), mac.kind == .data else { return nil }
        let start = reader.offset
        guard let nwk = try? NWKHeader(parsing: &reader), nwk.isSecured else { return nil }
        let security = reader.offset
        guard let auxiliary = try? AuxiliaryHeader(parsing: &reader),
            let source = auxiliary.source
        else { return nil }
        let payload = reader.offset
        frame[security] = frame[security] & 0xF8 | AuxiliaryHeader.securityLevel
        let isGood = crypto.open(
            &frame, from: start, payload: payload, key: networkKey,
            nonce: CCMNonce(
                source: source, counter: auxiliary.frameCounter, control: auxiliary.fullControl))
        guard isGood else { return nil }
        let bytes = Array(frame.bytes[payload...])
        guard nwk.kind == .data else {
            return OpenedFrame(time: record.end, nwk: nwk, payload: bytes)
        }
        var inner = ByteReader(bytes.span)
        guard let aps = try? APSHeader(parsing: &inner) else { return nil }
        return OpenedFrame(
            time: record.end, nwk: nwk, aps: aps, payload: Array(bytes[inner.offset...]))
    }

    /// Whether a beacon of `node` says that joining is open there; nil if it sends none.
    func isJoiningOpen(at node: Int) -> Bool? {
        sequence &+= 1
        var header = MACHeader(
            kind: .command, sequence: sequence, destination: .short(.everyone), source: .none)
        header.destinationPAN = .broadcast
        var request = FrameBuffer()
        header.encode(into: &request)
        MACCommand.beaconRequest.encode(into: &request)
        let since = tape.frames.count
        desk.raw.append(request)
        run(.milliseconds(200))
        for record in tape.frames[since...] where Int(record.sender) == node {
            var reader = ByteReader(record.psdu.span)
            guard let mac = try? MACHeader(parsing: &reader), mac.kind == .beacon else { continue }
            return (try? Beacon(parsing: &reader))?.associationPermitted
        }
        return nil
    }

    /// A router's link status, by which the attacker becomes somebody that routers send to.
    func attackerBecomesRouter() {
        let status = forge(
            header(.command, to: .routers, radius: 1), [0x08, 0x61, 0, 0, 0x11])
        _ = attack(0, with: [status], for: .milliseconds(50))
    }
}
