import Evidence
import TestSupport
import Testing
import Wire
import Zigbee

@Suite("Power descriptors")
struct PowerDescriptorTests {
    struct Case: Sendable {
        var isSleepy: Bool
        var isMainsPowered: Bool
        var battery: PowerSettings.Battery
        var level: PowerSettings.Level
        /// On the air, and as tshark reads them: mode, sources there are, source in use, level.
        var bytes: String
        var fields: [String]
    }

    static let cases = [
        Case(
            isSleepy: false, isMainsPowered: true, battery: .disposable, level: .full,
            bytes: "10 C1", fields: ["0", "1", "0", "0", "1", "0", "0", "12"]),
        Case(
            isSleepy: false, isMainsPowered: false, battery: .rechargeable, level: .third,
            bytes: "20 42", fields: ["0", "0", "1", "0", "0", "1", "0", "4"]),
        Case(
            isSleepy: true, isMainsPowered: false, battery: .disposable, level: .critical,
            bytes: "41 04", fields: ["1", "0", "0", "1", "0", "0", "1", "0"]),
    ]

    static let names = [
        "power.mode", "power.avail.ac", "power.avail.rech", "power.avail.disp",
        "power.source.ac", "power.source.recharge", "power.source.dispose", "power.level",
    ].map { "zbee_zdp.\($0)" }

    @Test("a device says what feeds it and how full that is, as tshark reads it", arguments: cases)
    func judged(each: Case) throws {
        let world = World(sleepy: each.isSleepy) {
            guard $0.role == .endDevice else { return }
            $0.isMainsPowered = each.isMainsPowered
            $0.power.battery = each.battery
            $0.power.level = each.level
        }
        world.start()
        world.desk.tasks[1].append { stack, now, _ in
            stack.expectAnswers(until: now + .seconds(3), at: now)
        }
        let asked = try world.exchange(
            ZDOCase("Power_Desc", 0x0003, .hub, .device, "DEV", "00 DEV \(each.bytes)"))
        #expect(asked.answers == [asked.expected])
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("out"))
        try world.write(to: folder)
        #expect(
            try Tshark.judge(capture: folder.path(of: .trace), keys: folder.path).complaints
                .isEmpty)
        let rows = try Tshark.rows(
            capture: folder.path(of: .trace), keys: folder.path, fields: Self.names,
            filter: "zbee_aps.zdp_cluster == 0x8003 && zbee_zdp.status == 0")
        #expect(!rows.isEmpty)
        for row in rows {
            let fields = Self.names.map { name in
                switch row[name] {
                case "True": "1"
                case "False": "0"
                case let value: value ?? ""
                }
            }
            #expect(fields == each.fields)
        }
    }
}

extension World {
    /// Leaves what was on the air, and the keys, as evidence for others to judge.
    func write(to folder: OutputFolder) throws {
        let recorder = try Recorder(
            roster: Roster(naming: [
                (role: "CH", eui64: World.coordinatorEUI64),
                (role: "ESME", eui64: World.deviceEUI64),
                (role: "attacker", eui64: World.attackerEUI64),
            ]), start: UTCTime(secondsSince2000: 0), steps: [], folder: folder)
        for frame in tape.frames { recorder.record(frame: frame) }
        try recorder.finish()
        try folder.write(
            WiresharkKeys.table([
                (key: networkKey, label: "network"), (key: World.linkKey, label: "link"),
            ]), to: .keys)
    }
}
