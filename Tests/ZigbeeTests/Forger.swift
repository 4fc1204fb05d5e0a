import Crypto
import Wire
import Zigbee

/// Frames made by hand, by somebody who may know some of the keys.
extension World {
    /// How the parts of a forged frame are laid out.
    struct Layout {
        var network = 0
        var auxiliary = 0
        var payload = 0
    }

    func header(
        _ kind: NWKHeader.Kind = .data, to destination: ShortAddress, radius: UInt8 = 5
    ) -> NWKHeader {
        sequence &+= 1
        return NWKHeader(
            kind: kind, destination: destination, source: World.attackerAddress, radius: radius,
            sequence: sequence)
    }

    /// A whole MAC frame around a NWK header and payload, secured if the header says so; from the
    /// header's source, or relayed by `sender`.
    func forge(
        _ header: NWKHeader, _ payload: [UInt8], via hop: ShortAddress = .coordinator,
        source: EUI64 = attackerEUI64, counter given: UInt32? = nil, keySequence: UInt8 = 0,
        key: Key128? = nil, sender: ShortAddress? = nil,
        layout: UnsafeMutablePointer<Layout>? = nil
    ) -> FrameBuffer {
        sequence &+= 1
        var frame = FrameBuffer()
        MACHeader.within(
            pan, kind: .data, sequence: sequence,
            to: .short(header.destination.isBroadcast ? .everyone : hop),
            from: .short(sender ?? header.source)
        ).encode(into: &frame)
        var parts = Layout()
        parts.network = frame.count
        header.encode(into: &frame)
        parts.auxiliary = frame.count
        guard header.isSecured else {
            frame.append(payload.span)
            return frame
        }
        counter += 1
        let auxiliary = AuxiliaryHeader(
            key: .network, frameCounter: given ?? counter, source: source,
            keySequence: keySequence)
        auxiliary.encodeForSealing(into: &frame)
        parts.payload = frame.count
        frame.append(payload.span)
        crypto.seal(
            &frame, from: parts.network, payload: parts.payload, key: key ?? networkKey,
            nonce: CCMNonce(
                source: source, counter: auxiliary.frameCounter, control: auxiliary.fullControl))
        frame[parts.auxiliary] &= 0xF8
        layout?.pointee = parts
        return frame
    }

    /// A plain APS data frame for endpoint 1.
    func apsData(
        counter: UInt8, _ bytes: [UInt8] = [9, 9, 9], endpoint: UInt8 = 1,
        acknowledged: Bool = false
    ) -> [UInt8] {
        var header = apsHeader(counter: counter)
        header.acknowledgementRequested = acknowledged
        header.destinationEndpoint = endpoint
        var frame = FrameBuffer()
        header.encode(into: &frame)
        return frame.bytes + bytes
    }

    func apsHeader(counter: UInt8) -> APSHeader {
        var header = APSHeader(kind: .data, counter: counter)
        (header.destinationEndpoint, header.sourceEndpoint) = (1, 1)
        (header.cluster, header.profile) = (World.cluster, ProfileID.smartEnergy)
        return header
    }

    /// An APS frame sealed with a link key, or a key derived from one.
    func apsSealed(
        _ header: APSHeader, _ bytes: [UInt8], identifier: KeyIdentifier = .data, key: Key128,
        source: EUI64, named: Bool, counter: UInt32
    ) -> [UInt8] {
        var header = header
        header.isSecured = true
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let start = frame.count
        let auxiliary = AuxiliaryHeader(
            key: identifier, frameCounter: counter, source: named ? source : nil)
        auxiliary.encodeForSealing(into: &frame)
        let payload = frame.count
        frame.append(bytes.span)
        crypto.seal(
            &frame, from: 0, payload: payload, key: key,
            nonce: CCMNonce(source: source, counter: counter, control: auxiliary.fullControl))
        frame[start] &= 0xF8
        return frame.bytes
    }

    /// A Transport Key command with a network key, as an APS frame.
    func transportKey(
        to destination: EUI64, from source: EUI64, linkKey: Key128 = linkKey, counter: UInt32
    ) -> [UInt8] {
        var command = FrameBuffer()
        APSCommand.transportNetworkKey(
            Key128(high: 0xBAD, low: 0xBAD), sequence: 0, destination: destination, source: source
        ).encode(into: &command)
        return apsSealed(
            APSHeader(kind: .command, counter: 77), command.bytes, identifier: .keyTransport,
            key: linkKey.keyTransportKey, source: source, named: true, counter: counter)
    }
}
