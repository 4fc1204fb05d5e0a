import Air
import Crypto
import DCC
import Devices
import Evidence
import Radio
import Wire

/// Who plays in a home's runs, and how each of them is made: the hub, the devices in the file's
/// order, and last the director, or the bench where a home runs without a scenario, or the CSP's
/// end of the WAN.
public final class HomeCast {
    public let home: Home
    public let roster: Roster
    /// One engine for all that are made here: it keeps key schedules, not state.
    private let crypto = CryptoEngine()
    /// To make keys takes long, and members are made anew at each restart.
    private var identities: [EUI64: MessageIdentity] = [:]
    private var authority: Home.Authority?
    /// All of them follow from the seed that members were made with last.
    private var keySeed: Seed?

    public init(_ home: Home, last: String = "director") {
        self.home = home
        var members = [
            Roster.Member(name: home.hub.name, role: "CH", eui64: home.hub.eui64)
        ]
        for device in home.devices {
            members.append(
                Roster.Member(
                    name: device.name, role: device.profile.type.rawValue, eui64: device.eui64))
        }
        members.append(Roster.Member(name: last, role: last, eui64: nil))
        roster = Roster(members: members)
    }

    /// The director's place in the roster: last.
    public var directorIndex: Int { home.devices.count + 1 }

    /// The flash of each member, in roster order; the director's is for nothing.
    public func flash(of index: Int) -> FlashGeometry {
        if index == 0 { return home.hub.profile.flash }
        if index == directorIndex { return FlashGeometry(size: 4096) }
        return home.devices[index - 1].profile.flash
    }

    /// The home's air, before anything has happened; without a sink nothing is recorded.
    public func makeAir(
        seed: Seed, sink: EvidenceSink?, timekeeping: Timekeeping = .lockstep
    ) -> Air {
        let members = roster.members.indices.map { index in
            AirMember(
                flash: flash(of: index),
                wanPeer: index == 0 ? directorIndex : index == directorIndex ? 0 : nil,
                observes: index == directorIndex)
        }
        return Air(
            members: members, settings: home.air, links: links, seed: seed, sink: sink,
            timekeeping: timekeeping)
    }

    private var links: LinkTable {
        var table = LinkTable(members: roster.members.count, common: home.commonLink)
        for link in home.links {
            guard let from = roster.members.firstIndex(where: { $0.name == link.from }),
                let to = roster.members.firstIndex(where: { $0.name == link.to })
            else { continue }
            if link.isOneWay {
                table[from, to] = link.link
            } else {
                table.set(from, to, link.link)
            }
        }
        return table
    }

    /// The hub or a device as it is when its power comes on, with nothing but its flash.
    public func makeMember(_ index: Int, start: UTCTime, seed: Seed) -> HomeNode {
        guard index > 0 else { return HomeNode(makeHub(start: start, seed: seed)) }
        let device = home.devices[index - 1]
        return HomeNode(
            HANDevice(
                profile: device.profile,
                identity: DeviceIdentity(
                    eui64: device.eui64, linkKey: device.installCode.linkKey,
                    firmware: device.firmware, supplier: device.supplier,
                    channels: home.channels,
                    credentials: credentials(of: device.eui64, seed),
                    messages: messageIdentity(
                        of: device.eui64, as: device.profile.type.messageEntity,
                        images: device.supplier, seed)), crypto: crypto, seed: seed))
    }

    private func credentials(of device: EUI64, _ seed: Seed) -> CBKECredentials? {
        guard !home.installCodeDevices.contains(device) else { return nil }
        return Home.preferred(home.credentials[device]?.establishment ?? [], home)
            ?? authority(seed)?.credentials(of: device)
    }

    private func messageIdentity(
        of entity: EUI64, as kind: MessageEntity, images: P256.PublicKey? = nil, _ seed: Seed
    ) -> MessageIdentity {
        follow(seed)
        if let made = identities[entity] { return made }
        let made = MessageParties(seed: seed, of: home).identity(
            of: entity, as: kind, images: images,
            activator: home.hub.profile.messages.activator)
        identities[entity] = made
        return made
    }

    private func authority(_ seed: Seed) -> Home.Authority? {
        follow(seed)
        return authority
    }

    private func follow(_ seed: Seed) {
        guard keySeed != seed else { return }
        keySeed = seed
        identities = [:]
        authority = Home.Authority(home, seed: seed)
    }

    private func makeHub(start: UTCTime, seed: Seed) -> CommunicationsHub {
        CommunicationsHub(
            profile: home.hub.profile,
            identity: HubIdentity(
                eui64: home.hub.eui64, firmware: home.hub.firmware, signer: home.hub.signer,
                channels: home.channels,
                deviceLog: home.devices.filter(\.isLogged).map {
                    DeviceLogEntry(
                        eui64: $0.eui64, type: $0.profile.type, linkKey: $0.installCode.linkKey)
                }, start: start,
                // Both: some devices may have been given others than the run's own.
                credentials: (home.credentials[home.hub.eui64]?.establishment ?? [])
                    + (authority(seed).map { [$0.credentials(of: home.hub.eui64)] } ?? []),
                installCodeDevices: home.installCodeDevices,
                chf: messageIdentity(of: home.hub.chf, as: .communicationsHubFunction, seed),
                gpf: messageIdentity(of: home.hub.eui64, as: .gasProxyFunction, seed)),
            crypto: crypto, seed: seed)
    }

    func makeDirector(
        of scenario: Scenario, _ images: [String: RunImage], seed: Seed
    ) -> Director {
        var members: [(name: String, eui64: EUI64, linkKey: Key128?, firmware: UInt32)] = [
            (home.hub.name, home.hub.eui64, nil, home.hub.firmware)
        ]
        for device in home.devices {
            members.append(
                (device.name, device.eui64, device.installCode.linkKey, device.firmware))
        }
        let desk = MessageDesk(
            parties: MessageParties(seed: seed, of: home),
            entities: [home.hub.chf] + members.map(\.eui64))
        var director = Director(
            scenario: scenario, images: images, members: members, wanPerByte: home.air.wanPerByte,
            wanChunk: home.air.wanChunk)
        director.take(
            desk, hubEntity: home.hub.chf,
            activator: MessageParties.party(of: home.hub.profile.messages.activator))
        if let dcc = scenario.dcc {
            director.take(
                DCC(
                    settings: dcc.profile.settings, keys: DCCKeys(desk.keys),
                    products: dcc.products, inventory: home.inventory + dcc.profile.inventory))
        }
        return director
    }

    /// The CSP's end of the hub's WAN, as it is when its power comes on.
    public func makeWANEnd(start: UTCTime, seed: Seed) -> HomeNode {
        let hub = home.hub
        let members =
            [
                WANEnd.Member(
                    name: hub.name, eui64: hub.eui64, entity: hub.chf, firmware: hub.firmware)
            ]
            + home.devices.map {
                WANEnd.Member(
                    name: $0.name, eui64: $0.eui64, entity: $0.eui64, firmware: $0.firmware)
            }
        let parties = MessageParties(seed: seed, of: home)
        return HomeNode(
            WANEnd(
                members: members, wanPerByte: home.air.wanPerByte, wanChunk: home.air.wanChunk,
                desk: MessageDesk(parties: parties, entities: [hub.chf]),
                activator: MessageParties.party(of: hub.profile.messages.activator), start: start))
    }
}
