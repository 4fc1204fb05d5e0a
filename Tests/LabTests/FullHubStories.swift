import Devices
import Lab
import Testing
import Wire

@Suite("A hub that holds as much as it can")
struct FullHubStories {
    @Test(
        "63 devices and 64 images, each for all of them: everything is kept, over a restart too",
        arguments: [2_048, 4_096])
    func full(_ pageSize: Int) {
        let devices = (1...63).map { number in
            Homes.device(.esme, name: "ESME-\(number)", number: UInt64(number)) {
                // So that what each is offered tells which of the images is still there.
                $0.imageType = UInt16(0x1000 + number)
            }
        }
        let names = devices.map(\.name)
        let hub = Homes.newHub {
            $0.imageSlots = 64
            $0.imageSlotSize = 4_096
            $0.flashPart.pageSize = pageSize
            $0.notifiesImages = false
            $0.bootTime = .seconds(1)
        }
        let images = (1...64).map { number in
            var image = Homes.image(
                for: devices[(number - 1) % 63], version: 0x0200_0000 + UInt32(number), size: 200)
            image.name = "\(number)"
            image.installableFrom = (0..<64).map { 0x0100_0000 + $0 }
            return image
        }
        let live = LiveHome(
            Homes.home(devices, hub: hub), images: images,
            [.join(devices: names)] + images.map { .deliver(image: $0.name, to: names) })
        live.run(untilEvent: .imageStored, of: 0, count: 64)
        live.run(for: .seconds(5))
        live.restart(0)
        live.run(for: .seconds(10))
        #expect(live.events(.networkResumed).count { $0.node == 0 } == 1)
        let before = live.events(.imageOffered).count
        for node in 1...63 {
            live.give(.order(.queryNextImage), to: node)
            live.run(for: .seconds(1))
        }
        var offers: [UInt64: UInt64] = [:]
        for offer in live.events(.imageOffered).dropFirst(before) {
            offers[offer.values[0]] = offer.values[1]
        }
        // The last image is for the same device as the first.
        for (index, device) in devices.enumerated() {
            let version = 0x0200_0000 + UInt64(index == 0 ? 64 : index + 1)
            #expect(offers[device.eui64.rawValue] == version, "\(device.name)")
        }
        #expect(live.events(.outputLost).isEmpty)
    }

    @Test("a device for which the hub's log has no room is not let in")
    func fullLog() throws {
        let devices = [1, 2].map { Homes.device(.esme, name: "ESME-\($0)", number: $0) }
        let hub = Homes.newHub { $0.deviceLogLimit = 1 }
        let told = try Told(
            Homes.home(devices, hub: hub), images: [],
            [.join(devices: ["ESME-1"]), .wait(.minutes(5))], named: "full-log")
        #expect(told.result.failure == nil)
        #expect(told.events("deviceLogged").count == 1)
        #expect(told.events("otaServerFound", of: "ESME-2").isEmpty)
    }
}
