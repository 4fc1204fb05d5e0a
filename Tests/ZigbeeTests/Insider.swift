import Crypto
import Wire
import Zigbee

/// What somebody who has the network key can add to a world: devices that exist on the air alone.
extension World {
    static let strangerKey = Key128(high: 0x5151, low: 0x1515)

    static func phantom(_ number: Int) -> EUI64 { EUI64(0x00DD_0000_0000_0100 + UInt64(number)) }
    static func phantomAddress(_ number: Int) -> ShortAddress {
        ShortAddress(0x1000 + UInt16(number))
    }

    /// The hub has a link key for `device`.
    func log(_ devices: [EUI64]) {
        desk.tasks[0].append { stack, _, _ in
            for device in devices { stack.setLinkKey(World.strangerKey, partner: device) }
        }
        run(.milliseconds(20))
    }

    /// Phantoms that become children of the hub by a secured rejoin.
    func addChildren(_ numbers: Range<Int>, capability: UInt8 = 0x8C) {
        log(numbers.map(World.phantom))
        let frames = numbers.map { number in
            var header = header(.command, to: .coordinator, radius: 1)
            header.source = World.phantomAddress(number)
            header.sourceEUI64 = World.phantom(number)
            return forge(header, [0x06, capability], source: World.phantom(number))
        }
        _ = attack(0, with: frames)
        run(.seconds(20))
    }

    /// A Device_annce, sealed by `source` and sent by `sender` or by the device itself.
    func announce(
        _ device: EUI64, at address: ShortAddress, from claimed: ShortAddress? = nil,
        capability: UInt8 = 0x8C, sealedBy source: EUI64? = nil, sender: ShortAddress? = nil
    ) -> FrameBuffer {
        var aps = APSHeader(kind: .data, counter: sequence)
        aps.delivery = .broadcast
        aps.cluster = ZDOCluster.deviceAnnounce
        var body = FrameBuffer()
        aps.encode(into: &body)
        body.append(1 as UInt8)
        body.append(address)
        body.append(device)
        body.append(capability)
        var header = header(to: .receiversOn)
        header.source = claimed ?? address
        return forge(header, body.bytes, source: source ?? device, sender: sender)
    }

    /// An Update Device under a phantom's or the attacker's link key.
    func updateDevice(
        _ device: EUI64, _ address: ShortAddress, status: UInt8, by speaker: EUI64 = attackerEUI64,
        from claimed: ShortAddress = attackerAddress
    ) -> FrameBuffer {
        var command = FrameBuffer()
        APSCommand.updateDevice(device, address, status: status).encode(into: &command)
        let aps = apsSealed(
            APSHeader(kind: .command, counter: 9), command.bytes, key: World.strangerKey,
            source: speaker, named: true, counter: counter)
        var header = header(to: .coordinator)
        header.source = claimed
        return forge(header, aps, sender: World.attackerAddress)
    }

    /// The attacker becomes a router that the hub knows.
    func becomeRouter() {
        log([World.attackerEUI64])
        _ = attack(
            0,
            with: [announce(World.attackerEUI64, at: World.attackerAddress, capability: 0x8E)])
        run(.seconds(1))
    }

    func unsecuredRejoin(
        _ device: EUI64, from address: ShortAddress, to target: ShortAddress
    ) -> FrameBuffer {
        var header = header(.command, to: target, radius: 1)
        header.isSecured = false
        header.source = address
        header.sourceEUI64 = device
        return forge(header, [0x06, 0x8C], via: target)
    }

    /// A secured frame as it was on the air, opened with the hub's network key.
    func opened(_ psdu: FrameBuffer) -> (header: NWKHeader, payload: [UInt8])? {
        guard psdu.count > 20 else { return nil }
        var frame = psdu
        frame.truncate(to: frame.count - 2)
        do {
            var reader = ByteReader(frame.span)
            guard try MACHeader(parsing: &reader).kind == .data else { return nil }
            let start = reader.offset
            let header = try NWKHeader(parsing: &reader)
            guard header.isSecured else { return nil }
            let auxiliaryStart = reader.offset
            let auxiliary = try AuxiliaryHeader(parsing: &reader)
            let payload = reader.offset
            guard let source = auxiliary.source else { return nil }
            frame[auxiliaryStart] |= AuxiliaryHeader.securityLevel
            let isGenuine = crypto.open(
                &frame, from: start, payload: payload, key: networkKey,
                nonce: CCMNonce(
                    source: source, counter: auxiliary.frameCounter,
                    control: auxiliary.fullControl))
            return isGenuine ? (header, Array(frame.bytes[payload...])) : nil
        } catch {
            return nil
        }
    }

    /// Where a node has sent frames to since frame `since`, acknowledgements apart.
    func destinations(of node: Int, since: Int) -> [MACAddress] {
        tape.frames[since...].filter { Int($0.sender) == node && $0.psdu.count > 5 }
            .compactMap { record in
                var reader = ByteReader(record.psdu.span)
                return (try? MACHeader(parsing: &reader))?.destination
            }
    }
}
