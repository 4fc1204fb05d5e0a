import DCC
import Devices
import Lab
import Radio
import Simulation
import Tracking
import Wire

/// A home in virtual time, with the CSP's end of its hub's WAN in reach.
final class LiveHome {
    let home: Home
    let cast: HomeCast
    let simulation: Simulation<HomeNode>
    /// The CSP's place in the roster.
    let csp: Int
    /// Members whose power has not been seen to come on yet.
    private var unseen: Set<EUI64> = []

    /// `pages` are those of its members' flash that are not as they left the factory.
    init(
        _ home: Home, start: UTCTime, seed: Seed, pages: [FlashPage]
    ) throws(HeadEndError) {
        self.home = home
        let cast = HomeCast(home, last: "csp")
        self.cast = cast
        csp = cast.directorIndex
        let names = cast.roster.members.map(\.name)
        var contents = [[FlashPage]](repeating: [], count: names.count)
        var underway = MessagesUnderway()
        for page in pages {
            if page.page == Self.underwayPage {
                guard let kept = try? MessagesUnderway(parsing: page.bytes) else {
                    throw .conflict(
                        "what the store holds of messages in the home '\(home.name)' is damaged; "
                            + "put a copy of the store in its place, or name another")
                }
                underway = kept
                continue
            }
            guard let index = names.firstIndex(of: page.member) else { continue }
            let geometry = cast.flash(of: index)
            guard page.bytes.count == geometry.pageSize,
                (0..<geometry.size / geometry.pageSize).contains(page.page)
            else {
                throw .conflict(
                    "the store holds flash memory of \(page.member) in the home '\(home.name)' "
                        + "of another size than its profile has now; put the profile back as it "
                        + "was, or name another store")
            }
            contents[index].append(page)
        }
        simulation = Simulation(
            air: cast.makeAir(seed: seed, sink: nil), members: names.count, seed: seed
        ) { index, flash in
            let size = cast.flash(of: index).pageSize
            for page in contents[index] {
                UnsafeMutableRawBufferPointer(rebasing: flash[(page.page * size)...])
                    .copyBytes(from: page.bytes)
            }
        } make: { index in
            index == cast.directorIndex
                ? cast.makeWANEnd(start: start, seed: seed)
                : cast.makeMember(index, start: start, seed: seed)
        }
        if !pages.isEmpty {
            unseen = Set([home.hub.chf] + home.devices.map(\.eui64))
        }
        // Everybody's power comes on; what is given to them before that would be lost.
        while simulation.nextTime == .zero, simulation.step(until: .zero) {}
        keptUnderway = underway
        putBack(underway)
    }

    // MARK: - Messages that are on their way

    /// Where they are kept: among the pages of the CSP's end, far behind the last.
    private static let underwayPage = 1 << 20

    /// What the store has.
    private var keptUnderway = MessagesUnderway()

    private var underway: MessagesUnderway {
        var all = MessagesUnderway()
        func add(
            _ place: MessagesUnderway.Entry.Place, _ device: EUI64,
            _ messages: some Sequence<[UInt8]>
        ) {
            all.entries += messages.map { .init(place: place, device: device, bytes: $0) }
        }
        var hasPower: [Bool] = []
        simulation.change(csp) { hasPower = $0.wanEnd?.members.map { $0.power != .off } ?? [] }
        for index in 0..<csp {
            // What a member's memory held went with its power.
            if hasPower.indices.contains(index), !hasPower[index] { continue }
            simulation.change(index) { node in
                if let device = node.device { add(.device, device.eui64, device.waitingMessages) }
                for (device, bytes) in node.hub?.waitingMessages ?? [] {
                    add(.toDevice, device, [bytes])
                }
            }
            for case .message(let device, let bytes) in simulation.wanMail(for: index) {
                add(.toDevice, device, [bytes])
            }
        }
        simulation.change(csp) { node in
            for (device, bytes) in node.wanEnd?.waitingMessages ?? [] {
                add(.toDevice, device, [bytes])
            }
        }
        for case .message(let device, let bytes) in simulation.wanMail(for: csp) {
            add(.toCSP, device, [bytes])
        }
        return all
    }

    private func putBack(_ underway: MessagesUnderway) {
        for index in 0..<csp {
            simulation.change(index) { node in
                guard let id = node.device?.eui64 else { return }
                node.device?.keep(
                    underway.entries.filter { $0.place == .device && $0.device == id }
                        .map(\.bytes))
            }
        }
        guard !underway.entries.isEmpty else { return }
        csp(at: simulation.now) { end, _, _ in
            end.putBack(
                underway.entries.filter { $0.place == .toDevice }.map { ($0.device, $0.bytes) })
            for entry in underway.entries where entry.place == .toCSP { end.hear(entry.bytes) }
        }
    }

    /// What the store is to have of the home: pages of flash, and the messages on their way, if
    /// they have changed since it was last asked.
    func takeChanges() -> [FlashPage] {
        let names = cast.roster.members.map(\.name)
        var pages: [FlashPage] = []
        simulation.takeFlashChanges { node, page, bytes in
            pages.append(
                FlashPage(
                    home: home.name, member: names[node], page: page, bytes: [UInt8](bytes)))
        }
        let underway = underway
        if underway != keptUnderway {
            keptUnderway = underway
            pages.append(
                FlashPage(
                    home: home.name, member: names[csp], page: Self.underwayPage,
                    bytes: underway.bytes))
        }
        return pages
    }

    var nextTime: Instant { simulation.nextTime }

    /// Has the CSP do something at `time`, up to which nothing is left to happen.
    func csp(at time: Instant, _ body: (inout WANEnd, Instant, inout Outbox) -> Void) {
        simulation.advance(to: time)
        simulation.act(for: csp) { node, now, out in
            guard node.wanEnd != nil else { return }
            body(&node.wanEnd!, now, &out)
            node.handle(.tick, at: now, into: &out)
        }
    }

    /// What the CSP has had to tell since it was last asked.
    func takeOutputs() -> [WANEnd.Output] {
        var outputs: [WANEnd.Output] = []
        simulation.change(csp) { outputs = $0.wanEnd?.takeOutputs() ?? [] }
        return outputs
    }

    func setWatched(_ isWatched: Bool) {
        simulation.change(csp) { $0.wanEnd?.wantsEvents = isWatched }
    }

    /// Without a copy of the node.
    var isBusy: Bool {
        var isBusy = false
        simulation.change(csp) { isBusy = $0.wanEnd?.isBusy ?? false }
        return isBusy
    }

    /// Whether this is the first time since the world began again that the member starts.
    func isFirstStart(of id: EUI64) -> Bool { unseen.remove(id) != nil }

    /// What a device, or the hub by its CHF's id, has last started with.
    func firmware(of id: EUI64) -> UInt32? {
        var firmware: UInt32?
        simulation.change(csp) { node in
            firmware = node.wanEnd?.members.first { $0.entity == id || $0.eui64 == id }?.firmware
        }
        return firmware
    }

    func index(of member: String) -> Int? {
        cast.roster.members.dropLast().firstIndex { $0.name == member }
    }

    var status: HeadEndStatus.Home {
        let members = simulation.nodes[csp].wanEnd?.members ?? []
        return HeadEndStatus.Home(
            name: home.name, title: home.title, hub: home.hub.chf, region: home.region,
            members: members.indices.map { index in
                let (entry, member) = (cast.roster.members[index], members[index])
                var (firmware, held): (UInt32?, UInt32?)
                simulation.change(index) {
                    firmware = $0.device?.version ?? $0.hub?.version
                    held = $0.device?.heldVersion
                }
                return HeadEndStatus.Member(
                    name: entry.name, role: entry.role, eui64: member.eui64,
                    firmware: firmware ?? member.firmware, held: held,
                    power: member.power.rawValue, isInNetwork: member.isInNetwork)
            })
    }
}
