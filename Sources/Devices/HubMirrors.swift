import Radio
import Wire
import Zigbee

/// The Gas Proxy Function on the air: an energy service interface that GSMEs ask for a mirror, and
/// an endpoint for each mirror, whose Metering client holds the notification flags (GBCS 10.2.2.2).
extension CommunicationsHub {
    static func endpoints(
        _ profile: HubProfile, _ identity: HubIdentity, mirrors: [UInt8] = []
    ) -> [SimpleDescriptor] {
        let own = SimpleDescriptor(
            endpoint: profile.endpoint, profile: ProfileID.smartEnergy,
            device: profile.applicationDevice,
            inputClusters: [
                ClusterID.basic, ClusterID.time, ClusterID.otaUpgrade, ClusterID.tunneling,
            ] + (identity.credentials.isEmpty ? [] : [ClusterID.keyEstablishment]),
            outputClusters: [ClusterID.tunneling])
        let interface = SimpleDescriptor(
            endpoint: profile.mail.interfaceEndpoint, profile: ProfileID.smartEnergy,
            device: profile.mail.interfaceDevice, inputClusters: [],
            outputClusters: [ClusterID.metering])
        return [own, interface]
            + mirrors.map {
                SimpleDescriptor(
                    endpoint: $0, profile: ProfileID.smartEnergy,
                    device: profile.mail.mirrorDevice, inputClusters: [ClusterID.metering],
                    outputClusters: [ClusterID.metering])
            }
    }

    mutating func showMirrors() {
        stack.setEndpoints(
            Self.endpoints(
                profile, identity, mirrors: deviceLog.entries.compactMap(\.mirror).sorted()))
    }

    /// A frame of the Metering cluster.
    mutating func receiveMetering(_ zcl: ZCLMessage, at now: Instant, into out: inout Outbox) {
        let source = zcl.message.source
        guard zcl.message.isLinkSecured, let device = zcl.message.sourceEUI64 else {
            out.drop(.apsUnsecured, from: source)
            return
        }
        guard isInGPFLog(device) else {
            out.drop(.notInDeviceLog, from: source)
            return
        }
        guard maySpeak(device) else {
            out.drop(.keyNotEstablished, from: source)
            return
        }
        let endpoint = zcl.message.destinationEndpoint
        let isInterface = endpoint == profile.mail.interfaceEndpoint
        guard isInterface || endpoint == deviceLog[device]?.mirror else {
            // Another device's mirror, or none.
            out.drop(.zclUnexpected, from: source)
            return
        }
        guard zcl.header.fromServer else {
            if isInterface { out.drop(.zclWrongDirection, from: source) }
            // A mirror that nobody has reported to has nothing to be read.
            answerMetering(
                zcl, isInterface ? zcl.refusalOfDirection : ZCLGeneral.answerAsClient(zcl),
                at: now, into: &out)
            return
        }
        guard zcl.header.isClusterSpecific else {
            answerMetering(
                zcl,
                isInterface
                    ? ZCLGeneral.answerAsClient(zcl) : readMirror(zcl, of: device, at: now, &out),
                at: now, into: &out)
            return
        }
        do {
            var reader = ByteReader(zcl.body)
            switch try MirrorRequest(zcl.header.command, parsing: &reader) {
            case .request where isInterface:
                let mirror = allotMirror(to: device, into: &out)
                answerMetering(
                    zcl, MirrorAnswer.allotted(mirror).frame(sequence: zcl.header.sequence),
                    at: now, into: &out)
            case .remove where !isInterface:
                removeMirror(of: device, into: &out)
                answerMetering(
                    zcl, MirrorAnswer.removed(endpoint).frame(sequence: zcl.header.sequence),
                    at: now, into: &out)
            case .configure where !isInterface:
                // Nothing is reported to the mirror, so there is nothing that it would change.
                answerMetering(
                    zcl,
                    zcl.dueResponse(.success),
                    at: now, into: &out)
            default:
                answerMetering(zcl, ZCLGeneral.answerAsClient(zcl), at: now, into: &out)
            }
        } catch {
            out.drop(.zclMalformed, from: source)
            answerMetering(
                zcl, zcl.dueResponse(.malformedCommand), at: now, into: &out)
        }
    }

    private mutating func answerMetering(
        _ zcl: ZCLMessage, _ frame: FrameBuffer?, at now: Instant, into out: inout Outbox
    ) {
        reply(zcl, frame, at: now, into: &out, from: zcl.message.destinationEndpoint)
    }

    /// The Metering client of the GPF's mirror, whose one attribute the GSME reads.
    private mutating func readMirror(
        _ zcl: ZCLMessage, of device: EUI64, at now: Instant, _ out: inout Outbox
    ) -> FrameBuffer? {
        dropExpiredOf(device, at: now, into: &out)
        let flags = notificationFlags(of: device)
        let identifier = profile.tunnel.flagsAttribute
        let attribute = ZCLAttribute(identifier, .bitmap32, UInt64(flags.rawValue))
        return ZCLGeneral.answer(zcl, of: ZCLServed(identifier...identifier)) {
            $0 == identifier ? attribute : nil
        }
    }

    /// A mirror in flash may not fit what the profile is now, or two may be the same: its GSME
    /// asks for another.
    mutating func dropImpossibleMirrors(into out: inout Outbox) {
        var places = Array(repeating: 0, count: 256)
        places[Int(profile.endpoint)] = 1
        places[Int(profile.mail.interfaceEndpoint)] = 1
        for case let mirror? in deviceLog.entries.map(\.mirror) { places[Int(mirror)] += 1 }
        for entry in deviceLog.entries {
            guard let mirror = entry.mirror, places[Int(mirror)] > 1 else { continue }
            deviceLog.update(entry.eui64) { $0.mirror = nil }
        }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
    }

    /// The device's mirror: the one it has, or the first endpoint that is free.
    private mutating func allotMirror(to device: EUI64, into out: inout Outbox) -> UInt8? {
        if let mirror = deviceLog[device]?.mirror { return mirror }
        let taken =
            [profile.endpoint, profile.mail.interfaceEndpoint]
            + deviceLog.entries.compactMap(\.mirror)
        let first = profile.mail.mirrorEndpoint
        guard let free = (first...240).first(where: { !taken.contains($0) }) else { return nil }
        deviceLog.update(device) { $0.mirror = free }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
        showMirrors()
        out.note(.mirrorAllotted, device.rawValue, UInt64(free))
        return free
    }

    private mutating func removeMirror(of device: EUI64, into out: inout Outbox) {
        deviceLog.update(device) { $0.mirror = nil }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
        showMirrors()
    }
}
