import Radio
import Wire

extension ZigbeeStack {
    // MARK: - Requests of this node

    /// Tells everybody awake who and where this device is (ZigBee 2.4.3.1.11).
    public mutating func announce(at now: Instant, into out: inout Outbox) {
        var body = FrameBuffer()
        DeviceAnnounce(
            address: network.address, eui64: configuration.eui64,
            capability: configuration.capability
        ).encode(into: &body)
        sendZDO(
            ZDOCluster.deviceAnnounce, body, to: .receiversOn, transaction: nil, options: [],
            at: now, into: &out)
    }

    /// Asks `target` which of its endpoints serves `cluster` in the Smart Energy profile.
    public mutating func findServer(
        of cluster: UInt16, at target: ShortAddress, now: Instant, into out: inout Outbox
    ) {
        find(cluster, isServer: true, at: target, now: now, into: &out)
    }

    /// Asks which of its endpoints is a client of it.
    public mutating func findClient(
        of cluster: UInt16, at target: ShortAddress, now: Instant, into out: inout Outbox
    ) {
        find(cluster, isServer: false, at: target, now: now, into: &out)
    }

    private mutating func find(
        _ cluster: UInt16, isServer: Bool, at target: ShortAddress, now: Instant,
        into out: inout Outbox
    ) {
        var body = FrameBuffer()
        body.append(target)
        body.append(ProfileID.smartEnergy)
        if !isServer { body.append(0 as UInt8) }
        body.append(1 as UInt8)
        body.append(cluster)
        if isServer { body.append(0 as UInt8) }
        sendZDO(
            ZDOCluster.matchDescriptorRequest, body, to: target, transaction: nil,
            options: .acknowledged, at: now, into: &out)
        if let last = zdoRequests.indices.last { zdoRequests[last].about = cluster }
    }

    /// Asks `target` for its EUI-64.
    public mutating func resolve(
        _ target: ShortAddress, now: Instant, into out: inout Outbox
    ) {
        var body = FrameBuffer()
        body.append(target)
        body.append(0 as UInt8)
        body.append(0 as UInt8)
        sendZDO(
            ZDOCluster.ieeeAddressRequest, body, to: target, transaction: nil,
            options: .acknowledged, at: now, into: &out)
    }

    /// Asks `target` for its endpoints, and each of those for what it is: `described`.
    public mutating func describe(
        _ target: ShortAddress, now: Instant, into out: inout Outbox
    ) {
        // At most once at a time, however often somebody calls for it.
        zdoRequests.removeAll {
            $0.target == target && $0.cluster == ZDOCluster.activeEndpointsRequest
        }
        var body = FrameBuffer()
        body.append(target)
        sendZDO(
            ZDOCluster.activeEndpointsRequest, body, to: target, transaction: nil,
            options: .acknowledged, at: now, into: &out)
    }

    /// Endpoints of one device that are asked what they are.
    private static let describedEndpoints = 3

    private mutating func describe(
        _ endpoints: Span<UInt8>, of target: ShortAddress, at now: Instant,
        into out: inout Outbox
    ) {
        for index in endpoints.indices.prefix(Self.describedEndpoints) {
            var body = FrameBuffer()
            body.append(target)
            body.append(endpoints[index])
            sendZDO(
                ZDOCluster.simpleDescriptorRequest, body, to: target, transaction: nil,
                options: .acknowledged, at: now, into: &out)
        }
    }

    /// Asks `target` for its node descriptor, which says how much it takes at a time.
    mutating func askTransferSize(
        of target: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        var body = FrameBuffer()
        body.append(target)
        sendZDO(
            ZDOCluster.nodeDescriptorRequest, body, to: target, transaction: nil,
            options: .acknowledged, at: now, into: &out)
    }

    /// Tells a device to leave the network, or to rejoin it (ZigBee 2.4.3.3.5).
    public mutating func requestLeave(
        of device: EUI64, rejoin: Bool, at now: Instant, into out: inout Outbox
    ) {
        guard let address = address(of: device) else { return }
        var body = FrameBuffer()
        body.append(device)
        body.append((rejoin ? 0x80 : 0) as UInt8)
        sendZDO(
            ZDOCluster.managementLeaveRequest, body, to: address, transaction: nil,
            options: .acknowledged, at: now, into: &out)
    }

    /// Tells every router for how long devices may associate with it (ZigBee 2.4.3.3.7).
    mutating func sendPermitJoining(seconds: UInt8, at now: Instant, into out: inout Outbox) {
        var body = FrameBuffer()
        body.append(seconds)
        // TC_Significance, always 1 since ZigBee revision 21.
        body.append(1 as UInt8)
        sendZDO(
            ZDOCluster.managementPermitJoiningRequest, body, to: .routers, transaction: nil,
            options: [], at: now, into: &out)
    }

    private mutating func sendZDO(
        _ cluster: UInt16, _ body: FrameBuffer, to destination: ShortAddress,
        transaction: UInt8?, options: SendOptions, at now: Instant, into out: inout Outbox
    ) {
        zdoSequence &+= 1
        if transaction == nil, !destination.isBroadcast {
            if zdoRequests.count == 8 { zdoRequests.removeFirst() }
            zdoRequests.append((destination, cluster, zdoSequence, 0))
        }
        var payload = FrameBuffer()
        payload.append(transaction ?? zdoSequence)
        payload.append(body.span)
        send(
            payload, to: destination, endpoint: 0, from: 0, cluster: cluster,
            profile: ProfileID.zigbeeDevice, options: options, at: now, into: &out)
    }

    // MARK: - Messages to this node

    mutating func receiveZDO(_ message: APSMessage, at now: Instant, into out: inout Outbox) {
        do {
            var reader = ByteReader(message.frame.span.extracting(message.payload...))
            let transaction = try reader.u8("transaction sequence number")
            if message.cluster & ZDOCluster.response != 0 {
                // Only what was asked, of whom it was asked.
                let index = zdoRequests.firstIndex {
                    $0.target == message.source && $0.transaction == transaction
                        && $0.cluster | ZDOCluster.response == message.cluster
                }
                guard let index else {
                    out.drop(.zdoUnexpected, from: message.source)
                    return
                }
                let request = zdoRequests.remove(at: index)
                try receiveResponse(
                    message, about: request.about, &reader, at: now, into: &out)
            } else if message.cluster == ZDOCluster.deviceAnnounce {
                try receiveAnnounce(&reader, from: message.source, at: now, into: &out)
            } else if message.cluster == ZDOCluster.managementLeaveRequest {
                try leaveRequested(message, transaction, &reader, at: now, into: &out)
            } else if message.cluster == ZDOCluster.managementPermitJoiningRequest {
                let seconds = try reader.u8("permit duration")
                try permitJoining(message, seconds, transaction, at: now, into: &out)
            } else if let answer = try answer(message, &reader) {
                sendZDO(
                    message.cluster | ZDOCluster.response, answer, to: message.source,
                    transaction: transaction, options: .acknowledged, at: now, into: &out)
            } else {
                out.drop(.zdoUnexpected, from: message.source)
            }
        } catch {
            out.drop(.zdoMalformed, from: message.source)
        }
    }

    private mutating func leaveRequested(
        _ message: APSMessage, _ transaction: UInt8, _ reader: inout ByteReader,
        at now: Instant, into out: inout Outbox
    ) throws(WireError) {
        let device = try reader.eui64("device")
        let flags = try reader.u8("leave flags")
        let isSelf = device == configuration.eui64 || device == EUI64(0)
        let isAllowed =
            message.sourceEUI64 == network.trustCentre && configuration.role != .coordinator
        if !message.isBroadcast {
            var body = FrameBuffer()
            body.append(
                (!isAllowed
                    ? ZDOStatus.notAuthorized : isSelf ? .success : .notSupported).rawValue)
            sendZDO(
                message.cluster | ZDOCluster.response, body, to: message.source,
                transaction: transaction, options: [], at: now, into: &out)
        }
        guard isAllowed, isSelf else { return }
        if flags & 0x80 != 0 {
            rejoin(at: now, into: &out)
        } else {
            leave(at: now, into: &out)
        }
    }

    private mutating func permitJoining(
        _ message: APSMessage, _ seconds: UInt8, _ transaction: UInt8, at now: Instant,
        into out: inout Outbox
    ) throws(WireError) {
        // Only the trust centre opens a network.
        let isAllowed =
            message.sourceEUI64 == network.trustCentre && configuration.role != .endDevice
        if isAllowed { trustCentre.permitUntil = now + .seconds(Int64(seconds)) }
        guard !message.isBroadcast else { return }
        var body = FrameBuffer()
        body.append((isAllowed ? ZDOStatus.success : .notAuthorized).rawValue)
        sendZDO(
            message.cluster | ZDOCluster.response, body, to: message.source,
            transaction: transaction, options: .acknowledged, at: now, into: &out)
    }

    private mutating func receiveAnnounce(
        _ reader: inout ByteReader, from source: ShortAddress, at now: Instant,
        into out: inout Outbox
    ) throws(WireError) {
        let announce = try DeviceAnnounce(parsing: &reader)
        guard announce.address == source else {
            // A device speaks for itself alone.
            out.drop(.zdoUnexpected, from: source)
            return
        }
        guard !isStranger(announce.eui64) else {
            out.drop(.notInDeviceLog, from: source)
            if eui64(of: source) == nil { addresses.put(source, announce.eui64) }
            sendAway(announce.eui64, isHere: false, at: now, into: &out)
            return
        }
        if let entry = returning[announce.eui64], entry.router != nil, entry.address == source {
            settle(announce.eui64, at: source, behind: entry.router, into: &out)
        }
        let kind = AddressMap.Kind(announce.capability)
        if addresses[announce.eui64] != announce.address
            || addresses.kind(of: announce.eui64) != kind
        {
            addresses.put(announce.address, announce.eui64, kind: kind)
            requestSave()
        }
        if broadcasts.lastSender != announce.address {
            endStraying(of: announce.eui64, at: announce.address, into: &out)
        }
        if let known = neighbours[announce.eui64], known.relation == .child,
            !known.capability.isRouter, broadcasts.lastSender != announce.address
        {
            // It speaks through another parent now.
            forget(known, into: &out)
        }
        if let index = neighbours.index(of: announce.eui64) {
            let before = neighbours.entries[index].address
            neighbours.update(index) {
                $0.address = announce.address
                $0.capability = announce.capability
            }
            moved(from: before, to: announce.address, into: &out)
            requestSave()
        }
        aps.fragments.forgetSize(of: announce.address)
        out.note(
            .deviceAnnounced, announce.eui64.rawValue, UInt64(announce.address.rawValue))
        reappeared(at: announce.address, now: now, into: &out)
        includeInKeyUpdate(announce.eui64, at: now)
        indicate(.deviceAnnounced(announce.eui64, announce.address, announce.capability))
        if announce.capability.isRouter { tellRouters(at: now, into: &out) }
    }

    private mutating func receiveResponse(
        _ message: APSMessage, about cluster: UInt16, _ reader: inout ByteReader,
        at now: Instant, into out: inout Outbox
    ) throws(WireError) {
        let status = try reader.u8("status")
        switch message.cluster {
        case ZDOCluster.matchDescriptorRequest | ZDOCluster.response:
            let server = try reader.shortAddress("NWK address of interest")
            let count = try reader.u8("match length")
            if status == ZDOStatus.success.rawValue, count > 0 {
                let endpoint = try reader.u8("endpoint")
                indicate(.matched(cluster: cluster, server: server, endpoint: endpoint))
            } else {
                indicate(.noMatch(cluster: cluster, server: server))
            }
        case ZDOCluster.ieeeAddressRequest | ZDOCluster.response,
            ZDOCluster.nwkAddressRequest | ZDOCluster.response:
            let eui64 = try reader.eui64("IEEE address")
            let address = try reader.shortAddress("NWK address")
            guard status == ZDOStatus.success.rawValue else { return }
            if neighbours[eui64] == nil { addresses.put(address, eui64) }
            indicate(.resolved(address, eui64))
        case ZDOCluster.nodeDescriptorRequest | ZDOCluster.response:
            // Only a device that speaks of itself knows.
            guard status == ZDOStatus.success.rawValue,
                try reader.shortAddress("NWK address of interest") == message.source
            else { return }
            let descriptor = try NodeDescriptor(parsing: &reader)
            transferSizeTold(
                descriptor.maximumIncomingTransfer, by: message.source, at: now, into: &out)
        case ZDOCluster.activeEndpointsRequest | ZDOCluster.response:
            guard status == ZDOStatus.success.rawValue,
                try reader.shortAddress("NWK address of interest") == message.source
            else { return }
            let count = Int(try reader.u8("endpoint count"))
            describe(
                try reader.take(count, "endpoints"), of: message.source, at: now, into: &out)
        case ZDOCluster.simpleDescriptorRequest | ZDOCluster.response:
            guard status == ZDOStatus.success.rawValue,
                try reader.shortAddress("NWK address of interest") == message.source
            else { return }
            _ = try reader.u8("descriptor length")
            _ = try reader.u8("endpoint")
            let profile = try reader.u16("profile")
            let device = try reader.u16("device")
            guard profile == ProfileID.smartEnergy else { return }
            indicate(.described(message.source, device: device))
        default: out.drop(.zdoUnexpected, from: message.source)
        }
    }

    /// The response to a request, behind its transaction number; nil where there is none.
    private func answer(
        _ message: APSMessage, _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer? {
        switch message.cluster {
        case ZDOCluster.nwkAddressRequest: try answerNWKAddress(message, &reader)
        case ZDOCluster.ieeeAddressRequest: try answerIEEEAddress(&reader)
        case ZDOCluster.nodeDescriptorRequest: try answerNodeDescriptor(&reader)
        case ZDOCluster.powerDescriptorRequest: try answerPowerDescriptor(&reader)
        case ZDOCluster.simpleDescriptorRequest: try answerSimpleDescriptor(&reader)
        case ZDOCluster.activeEndpointsRequest: try answerActiveEndpoints(&reader)
        case ZDOCluster.matchDescriptorRequest: try answerMatch(message, &reader)
        default: unsupported(message)
        }
    }

    private func unsupported(_ message: APSMessage) -> FrameBuffer? {
        guard !message.isBroadcast else { return nil }
        var body = FrameBuffer()
        body.append(ZDOStatus.notSupported.rawValue)
        return body
    }

    private func answerNWKAddress(
        _ message: APSMessage, _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer? {
        let wanted = try reader.eui64("IEEE address")
        let list = try AssociatedDevices(parsing: &reader)
        var body = FrameBuffer()
        if wanted == configuration.eui64 {
            body.append(list.status.rawValue)
            body.append(wanted)
            body.append(network.address)
            appendAssociated(list, to: &body)
            return body
        }
        guard !message.isBroadcast else { return nil }
        body.append(ZDOStatus.deviceNotFound.rawValue)
        body.append(wanted)
        body.append(ShortAddress.everyone)
        return body
    }

    private func answerIEEEAddress(_ reader: inout ByteReader) throws(WireError) -> FrameBuffer {
        let wanted = try reader.shortAddress("NWK address of interest")
        let list = try AssociatedDevices(parsing: &reader)
        var body = FrameBuffer()
        guard let known = eui64(of: wanted) else {
            body.append(ZDOStatus.deviceNotFound.rawValue)
            body.append(EUI64.unknown)
            body.append(wanted)
            return body
        }
        body.append(list.status.rawValue)
        body.append(known)
        body.append(wanted)
        if wanted == network.address { appendAssociated(list, to: &body) }
        return body
    }

    private func answerNodeDescriptor(
        _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer {
        let wanted = try reader.shortAddress("NWK address of interest")
        var body = FrameBuffer()
        guard wanted == network.address else {
            // No list that could be left empty.
            body.append(absence(of: wanted).rawValue)
            body.append(wanted)
            return body
        }
        body.append(ZDOStatus.success.rawValue)
        body.append(wanted)
        NodeDescriptor(of: configuration).encode(into: &body)
        return body
    }

    private func answerPowerDescriptor(
        _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer {
        let wanted = try reader.shortAddress("NWK address of interest")
        let isOwn = wanted == network.address
        var body = FrameBuffer()
        body.append((isOwn ? ZDOStatus.success : absence(of: wanted)).rawValue)
        body.append(wanted)
        if isOwn { PowerDescriptor(of: configuration).encode(into: &body) }
        return body
    }

    private func answerSimpleDescriptor(
        _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer {
        let wanted = try reader.shortAddress("NWK address of interest")
        let endpoint = try reader.u8("endpoint")
        guard wanted == network.address else { return refuse(wanted) }
        guard let found = configuration.endpoints.first(where: { $0.endpoint == endpoint }) else {
            return refuse(
                wanted, 1...240 ~= endpoint ? .notActive : .invalidEndpoint)
        }
        var descriptor = FrameBuffer()
        found.encode(into: &descriptor)
        var body = FrameBuffer()
        body.append(ZDOStatus.success.rawValue)
        body.append(wanted)
        body.append(UInt8(descriptor.count))
        body.append(descriptor.span)
        return body
    }

    private func answerActiveEndpoints(
        _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer {
        let wanted = try reader.shortAddress("NWK address of interest")
        guard wanted == network.address else { return refuse(wanted) }
        var body = FrameBuffer()
        body.append(ZDOStatus.success.rawValue)
        body.append(wanted)
        body.append(UInt8(truncatingIfNeeded: configuration.endpoints.count))
        for endpoint in configuration.endpoints { body.append(endpoint.endpoint) }
        return body
    }

    private func answerMatch(
        _ message: APSMessage, _ reader: inout ByteReader
    ) throws(WireError) -> FrameBuffer? {
        let wanted = try reader.shortAddress("NWK address of interest")
        let profile = try reader.u16("profile")
        let inputs = try reader.take(
            2 * Int(try reader.u8("input cluster count")), "input clusters")
        let outputs = try reader.take(
            2 * Int(try reader.u8("output cluster count")), "output clusters")
        guard wanted == network.address || wanted.isBroadcast else {
            return message.isBroadcast ? nil : refuse(wanted)
        }
        var found = FrameBuffer()
        for endpoint in configuration.endpoints
        where endpoint.matches(profile: profile, inputs: inputs, outputs: outputs) {
            found.append(endpoint.endpoint)
        }
        if found.isEmpty, message.isBroadcast { return nil }
        var body = FrameBuffer()
        // No match is a success with an empty list (ZigBee 2.4.4.2.7).
        body.append(ZDOStatus.success.rawValue)
        body.append(network.address)
        body.append(UInt8(found.count))
        body.append(found.span)
        return body
    }

    /// Status, address and an empty list: the shape descriptor responses fail in.
    private func refuse(_ wanted: ShortAddress, _ status: ZDOStatus? = nil) -> FrameBuffer {
        var body = FrameBuffer()
        body.append((status ?? absence(of: wanted)).rawValue)
        body.append(wanted)
        body.append(0 as UInt8)
        return body
    }
}
