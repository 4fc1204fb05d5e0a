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
        for page in pages {
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

    func index(of member: String) -> Int? {
        cast.roster.members.dropLast().firstIndex { $0.name == member }
    }

    var status: HeadEndStatus.Home {
        let members = simulation.nodes[csp].wanEnd?.members ?? []
        return HeadEndStatus.Home(
            name: home.name, title: home.title, hub: home.hub.chf, region: home.region,
            members: zip(cast.roster.members, members).map { entry, member in
                HeadEndStatus.Member(
                    name: entry.name, role: entry.role, eui64: member.eui64,
                    firmware: member.firmware, power: member.power.rawValue,
                    isInNetwork: member.isInNetwork)
            })
    }
}
