import Lab
import Radio
import TestSupport
import Testing
import Wire
import Zigbee

@Suite("Devices struck off before they have the network key")
struct KeylessStories {
    private let gsme = Homes.device(.gsme)

    @Test("one struck off while it associates gets no address any more; put back, it joins")
    func whileAssociating() {
        let live = LiveHome(Homes.home([gsme], hub: Homes.newHub { _ in }), images: [], [])
        let (device, key) = (gsme.eui64, gsme.installCode.linkKey)
        live.run { $0.stack(0)?.neighbourTable[device] != nil }
        #expect(live.stack(0)?.neighbourTable[device]?.isAuthenticated == false)
        #expect(live.events(.associated).isEmpty)
        live.give(.order(.removeDevice(device)), to: 0)
        live.run(for: .minutes(20))
        #expect(live.events(.associated).isEmpty)
        #expect(live.events(.networkKeyReceived).isEmpty)
        #expect(live.stack(0)?.neighbourTable[device] == nil)
        live.give(.order(.addDevice(device, linkKey: key)), to: 0)
        live.run(untilEvent: .joined, of: 1)
        #expect(live.events(.associated).count == 1)
    }

    @Test("one that was let associate and got no key is sent no Leave that it could not read")
    func noLeaves() throws {
        let told = try Told(
            Homes.home([gsme], hub: Homes.newHub { $0.refusesAssociation = false }), images: [],
            [
                .join(devices: ["GSME"]), .remove(devices: ["GSME"]),
                .permitJoining(.hours(2)), .wait(.hours(1)), .add(devices: ["GSME"]),
                .join(devices: ["GSME"]),
            ], named: "keyless")
        #expect(told.result.failure == nil)
        #expect(try told.complaints().isEmpty)
        #expect(told.events("associated", of: "GSME").count > 3)
        let leaves = try Tshark.rows(
            capture: told.folder.path("trace.pcapng"), keys: told.folder.path("zigbee_pc_keys"),
            fields: ["frame.time_relative"],
            filter: "zbee_nwk.cmd.id == 0x04 && zbee_nwk.src == 0x0000")
        // Those of the removal, at once, when it still had the key.
        let times = leaves.compactMap { $0.all("frame.time_relative").first.flatMap(Double.init) }
        #expect(times.count == leaves.count && !times.isEmpty)
        #expect(times.allSatisfy { $0 < times[0] + 1 }, "\(times)")
    }
}
