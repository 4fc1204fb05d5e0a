import Crypto
import DCC
import GBCS
import Testing
import Wire

@Suite("11.1 and 11.4")
struct UpdateStories {
    @Test("an ESME's update is taken, delivered a day later, and N60 says so once")
    func delivered() throws {
        var town = try Town()
        #expect(town.update([Town.esme]).code == .acknowledged)
        town.wait(3_599)
        #expect(town.deliveries.isEmpty)
        town.wait(1)
        let delivery = try #require(town.deliveries.first)
        #expect(delivery.hub == Town.hub && delivery.targets == [Town.esme])
        #expect(delivery.installableFrom == [0x0100_0001])
        town.hear(.stored(delivery: delivery.number))
        town.hear(.stored(delivery: delivery.number))
        #expect(town.alerts == ["N60"])
        let notice = try #require(town.notices.first)
        guard
            case .dccAlert(
                _, .deliveryStatus(let request, let hub, let device, let version, _, true)) =
                notice.response.body
        else {
            Issue.record("\(notice)")
            return
        }
        #expect(request.originator == Town.supplier && hub == Town.hub && device == Town.esme)
        #expect(version == "02000000" && notice.user == Town.supplier)
        #expect(
            town.statuses(of: Town.esme) == [.atCSP, .delivering, .deliveredToHub])
    }

    @Test("a hub that does not answer is tried again, and N61 says when the CSP gives up")
    func notDelivered() throws {
        var town = try Town()
        _ = town.update([Town.esme])
        town.wait(3_600 + 3 * 900 + 2 * 600 - 1)
        #expect(town.deliveries.count == 3)
        #expect(town.alerts.isEmpty)
        town.wait(1)
        #expect(town.alerts == ["N61"])
        #expect(town.statuses(of: Town.esme).last == .deliveryFailed)
        // Nothing is kept of it but what must be.
        #expect(town.records.keys.allSatisfy { [.seen, .counters, .former].contains($0.kind) })
    }

    @Test("whoever fails a check is listed under its reason, and the others proceed")
    func warnings() throws {
        var town = try Town()
        let stranger = EUI64(0x00DB_0000_0000_00FF)
        var suspended = town.dcc.inventory(of: Town.gsme)!
        suspended.status = .decommissioned
        town.records[DCCRecord.device(suspended).key] = .device(suspended)
        town.restart()
        let response = town.update([
            Town.esme, stranger, Town.ihd, Town.ppmid, Town.gsme, Town.hcalcs, Town.esme,
        ])
        #expect(response.code.rawValue == "W110101")
        let warning = try #require(response.warning)
        #expect(warning.invalid == [stranger, Town.ihd, Town.ppmid])
        #expect(warning.notCommissioned == [Town.gsme])
        #expect(warning.notApplicable == [Town.hcalcs], "the image is an ESME's")
        town.wait(4_000)
        #expect(town.deliveries.map(\.targets) == [[Town.esme]])
        // The second request meets the first.
        #expect(town.update([Town.esme]).warning?.otherRequest == [Town.esme])
    }

    @Test("a PPMID behind a hub of an old GBCS version is refused, unless the rule is off")
    func oldHub() throws {
        var town = try Town(hubVersion: "3.2")
        let response = town.update([Town.ppmid])
        #expect(response.code.rawValue == "W110401")
        #expect(response.warning?.gbcsVersion == [Town.ppmid])
        #expect(town.update([Town.hcalcs]).warning?.gbcsVersion == [Town.hcalcs])
        #expect(town.update([Town.esme]).code == .acknowledged)
        town = try Town(hubVersion: "3.2") { $0.gbcsRule.isEnforced = false }
        #expect(town.update([Town.ppmid]).code == .acknowledged)
        town = try Town(hubVersion: "3.2") { $0.gbcsRule.subject = .device }
        #expect(town.update([Town.ppmid]).code == .acknowledged)
    }

    @Test("what a release brings is not there before it", arguments: Release.allCases)
    func releases(release: Release) throws {
        var town = try Town()
        let calendar = town.settings.releases
        let dates: [Release: UTCTime] = [
            .beforeTracking: UTCTime(secondsSince2000: calendar.tracking.secondsSince2000 - 9_999),
            .tracking: calendar.tracking, .hanDevices: calendar.hanDevices,
        ]
        town.now = try #require(dates[release])
        let ppmid = town.update([Town.ppmid])
        let hcalcs = town.update([Town.hcalcs])
        switch release {
        case .beforeTracking:
            #expect(ppmid.code.rawValue == "E52")
            #expect(hcalcs.warning?.invalid == [Town.hcalcs])
        case .tracking:
            #expect(ppmid.warning?.gbcsVersion == [Town.ppmid])
            #expect(hcalcs.warning?.gbcsVersion == [Town.hcalcs])
        case .hanDevices:
            #expect(ppmid.code == .acknowledged)
            #expect(hcalcs.code == .acknowledged)
        }
        _ = town.update([Town.esme])
        town.wait(3_601)
        for delivery in town.deliveries { town.hear(.stored(delivery: delivery.number)) }
        switch release {
        case .beforeTracking: #expect(town.alerts.isEmpty)
        case .tracking: #expect(town.alerts == ["N60"])
        case .hanDevices: #expect(town.alerts == ["N60", "N60", "N60"])
        }
    }

    @Test("a request that is wrong as a whole gets its code, and nothing is kept of it")
    func refusals() throws {
        var town = try Town()
        let image = try #require(town.images[Town.esme])
        #expect(town.update([Town.esme], version: "00000000").code.rawValue == "E110103")
        #expect(town.update([Town.esme], version: "2000000").code.rawValue == "E110103")
        #expect(town.update([Town.esme], with: [1, 2, 3]).code.rawValue == "E110103")
        let other = try FirmwareImage.signed(
            header: image.header, manufacturerImage: [1, 2, 3], forceReplace: false,
            by: Town.key(of: Town.supplier, "signing"))
        #expect(
            town.update([Town.esme], with: other.encoded()).code.rawValue == "E110102")
        var header = image.header
        header.fileVersion = 0x0300_0000
        let unlisted = try FirmwareImage.signed(
            header: header, manufacturerImage: image.manufacturerImage, forceReplace: false,
            by: Town.key(of: Town.supplier, "signing"))
        #expect(
            town.update([Town.esme], with: unlisted.encoded(), version: "03000000").code.rawValue
                == "E110101")
        let many = (0...50_000).map { EUI64(0x1000_0000 + UInt64($0)) }
        #expect(
            town.update([Town.esme] + many.dropFirst()).code.rawValue == "E110105",
            "50,001 of them")
        #expect(town.records.keys.allSatisfy { [.seen, .counters].contains($0.kind) })
        let id = town.id(by: EUI64(1))
        #expect(town.update([Town.esme], id: id).code.rawValue == "E1")
        #expect(town.update([Town.esme], id: town.id(by: Town.other)).code.rawValue == "E2")
        #expect(town.update([Town.esme], id: town.id(Town.esme)).code.rawValue == "E19")
        let again = town.id()
        #expect(town.update([Town.esme], id: again).code == .acknowledged)
        #expect(town.update([Town.esme], id: again).code.rawValue == "E49")
        town.restart()
        #expect(town.update([Town.esme], id: again).code.rawValue == "E49")
    }

    @Test("a product that is withdrawn is not delivered to anybody")
    func withdrawn() throws {
        var town = try Town()
        for index in town.products.indices { town.products[index].status = .withdrawn }
        town.restart()
        #expect(town.update([Town.esme]).code.rawValue == "E110101")
    }

    @Test("a CSP does nothing in an outage, and serves no more hubs at once than it can")
    func outageAndCapacity() throws {
        let opens = UTCTime(secondsSince2000: Town.start.secondsSince2000 + 9_000)
        var town = try Town {
            $0.defaultRegion.outages = [Town.start..<opens]
            $0.defaultRegion.capacity = 1
        }
        #expect(town.update([Town.esme]).code == .acknowledged)
        #expect(town.update([Town.gsme]).code == .acknowledged)
        town.wait(8_999)
        #expect(town.deliveries.isEmpty)
        town.wait(1)
        #expect(town.deliveries.count == 1)
        town.wait(10)
        town.hear(.stored(delivery: town.deliveries[0].number))
        #expect(town.deliveries.count == 2)
        town.hear(.refused(delivery: town.deliveries[1].number, reason: "no room"))
        #expect(town.alerts == ["N60", "N61"])
    }

    @Test("fifty thousand devices are answered at once and handed over bit by bit")
    func many() throws {
        var town = try Town()
        let template = try #require(town.dcc.inventory(of: Town.esme))
        var ids: [EUI64] = []
        for number in 0..<50_000 {
            var device = template
            device.id = EUI64(0x00DB_1000_0000_0000 + UInt64(number))
            device.hub = EUI64(0x00DB_2000_0000_0000 + UInt64(number / 2))
            ids.append(device.id)
            town.inventory.append(device)
        }
        town.restart()
        let image = try #require(town.images[Town.esme]).encoded()
        let response = town.update(ids, with: image)
        #expect(response.code == .acknowledged)
        #expect(town.items.count < 10, "the answer waits for no more than the request's record")
        town.wait(0)
        #expect(town.records.keys.count { $0.kind == .delivery } == 25_000)
        town.restart()
        town.wait(3_600)
        #expect(town.deliveries.count == 100, "the region's capacity")
    }

    @Test("among thousands that came, went and were renamed each device is found, or is not")
    func comeAndGo() throws {
        var town = try Town()
        let model = try #require(town.dcc.inventory(of: Town.esme)).model
        var dice = SeededStream(Seed(1).named("come and go"))
        /// What each that is there is called.
        var models: [EUI64: String] = [:]
        func inventoryUpdate(_ id: EUI64, _ change: InventoryUpdate.Change) -> ServiceResponse {
            town.submit(
                town.request(
                    town.id(), "8.4", 8,
                    .updateInventory(InventoryUpdate(device: id, change: change))))
        }
        for _ in 0..<6_000 {
            // Ids that follow each other, that differ at the top only, and that do anywhere.
            let number = dice.below(400)
            let id = [
                EUI64(0x00DB_3000_0000_0000 + number), EUI64(number << 48 | 0xDB),
                EUI64(number &* 0x9E37_79B9_7F4A_7C15 | 1),
            ][Int(dice.below(3))]
            if models[id] == nil {
                let response = town.submit(
                    town.request(
                        town.id(), "12.2", 8,
                        .devicePrenotification(
                            DevicePrenotification(
                                device: id, manufacturer: "fff1", model: model, type: .esme))))
                #expect(!response.code.isError)
                models[id] = model
            } else if dice.below(2) == 0 {
                #expect(!inventoryUpdate(id, .delete).code.isError)
                models[id] = nil
            } else {
                let name = dice.below(2) == 0 ? model : "model \(dice.below(1_000_000))"
                let response = inventoryUpdate(
                    id,
                    .details(
                        manufacturer: nil, model: name, specification: nil, firmware: nil,
                        esmeVariant: nil))
                #expect(!response.code.isError)
                models[id] = name
            }
            #expect(town.dcc.inventory(of: id)?.model == models[id])
        }
        #expect(models.count > 300)
        let strangers = (0..<300).map { EUI64(0x00DB_4000_0000_0000 + $0) }
        for id in strangers + Array(models.keys) {
            #expect(town.dcc.inventory(of: id)?.model == models[id])
        }
        #expect(town.dcc.inventory.map(\.id) == (town.inventory.map(\.id) + models.keys).sorted())
        // All are pending, so 11.1 names every one of them in the list of its first obstacle.
        var list = (strangers + models.keys.sorted()) + strangers.reversed()
        for place in stride(from: list.count - 1, to: 0, by: -1) {
            list.swapAt(place, Int(dice.below(UInt64(place + 1))))
        }
        let image = try #require(town.images[Town.esme]).encoded()
        let warning = try #require(town.update(list, with: image).warning)
        func once(_ ids: [EUI64]) -> [EUI64] {
            var seen: Set<EUI64> = []
            return ids.filter { seen.insert($0).inserted }
        }
        #expect(warning.notCommissioned == once(list.filter { models[$0] != nil }))
        #expect(warning.invalid == once(list.filter { models[$0] == nil }))
        #expect(warning.count == once(list).count)
    }

    @Test("a device that was taken out is not found where it was, in a list in that order either")
    func goneFromItsPlace() throws {
        var town = try Town()
        let model = try #require(town.dcc.inventory(of: Town.esme)).model
        let new = (0..<4).map { EUI64(0x00DB_5000_0000_0000 + $0) }
        func notify(_ id: EUI64) {
            town.submit(
                town.request(
                    town.id(), "12.2", 8,
                    .devicePrenotification(
                        DevicePrenotification(
                            device: id, manufacturer: "FFF1", model: model, type: .esme))))
        }
        func remove(_ id: EUI64) {
            town.submit(
                town.request(
                    town.id(), "8.4", 8,
                    .updateInventory(InventoryUpdate(device: id, change: .delete))))
        }
        new.forEach { notify($0) }
        remove(new[1])
        let image = try #require(town.images[Town.esme]).encoded()
        let list = town.inventory.map(\.id) + new
        var warning = try #require(town.update(list, with: image).warning)
        #expect(warning.invalid.contains(new[1]))
        #expect(warning.notCommissioned == [new[0], new[2], new[3]])
        // It comes back to another's place.
        remove(new[0])
        notify(new[1])
        warning = try #require(town.update(list, with: image).warning)
        #expect(warning.invalid.contains(new[0]) && !warning.invalid.contains(new[1]))
        #expect(warning.notCommissioned == [new[1], new[2], new[3]])
    }
}
