import Lab
import Testing
import Wire

@Suite("Power cuts of a whole house, and images that are sent twice")
struct HousePowerStories {
    @Test("devices that are back before their hub are its children still, hours later")
    func wholeHouse() throws {
        let devices = [Homes.device(.esme), Homes.device(.ppmid), Homes.device(.hcalcs)]
        let names = devices.map(\.name)
        var steps: [ScenarioStep.Action] = [.join(devices: names), .wait(.minutes(10))]
        steps += (names + ["CH"]).map { .power(device: $0, on: false) }
        steps.append(.wait(.minutes(1)))
        steps += (names + ["CH"]).map { .power(device: $0, on: true) }
        steps += [.wait(.hours(8)), .readVersions(devices: names, version: nil)]
        let told = try Told(Homes.home(devices), images: [], steps, named: "whole-house")
        #expect(told.result.failure == nil)
        #expect(told.events("childAged").isEmpty)
    }

    @Test("a GSME that is offered once more what it has fetched already is updated all the same")
    func twice() throws {
        let gsme = Homes.device(.gsme)
        let told = try Told(
            Homes.home([gsme]), images: [Homes.image(for: gsme, size: 20_000)],
            [
                .join(devices: ["GSME"]), .deliver(image: "GSME", to: ["GSME"]),
                .await(.downloading, devices: ["GSME"]),
                .deliver(image: "GSME", to: ["GSME"]), .await(.verified, devices: ["GSME"]),
                .wait(.hours(2)),
                .command(devices: ["GSME"], .init(), expect: .activated),
                .await(.updated, devices: ["GSME"]),
            ], named: "gsme-twice")
        #expect(told.result.failure == nil)
        #expect(told.events("otaNotOffered", of: "GSME").isEmpty == false)
    }
}
