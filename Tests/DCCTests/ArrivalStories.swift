import Crypto
import DCC
import GBCS
import Testing
import Wire

extension Town {
    /// CCS08 of the hub.
    fileprivate mutating func transfer(
        _ result: FirmwareTransferResult, to device: EUI64, _ version: UInt32 = 0x0200_0000,
        counter: UInt64
    ) {
        let alert = FirmwareTransferAlert(
            time: GeneralizedTime(secondsSince2000: now.secondsSince2000)!, device: device,
            version: version, result: result)
        hear(
            .message(
                message(
                    .alert, from: Town.hub, to: Town.broker, counter: counter,
                    OtherInformation(.firmwareTransferAlert), .firmwareTransferAlert(alert))))
    }

    /// 8.11 strikes a device off its hub's log.
    fileprivate mutating func strikeOff(_ device: EUI64) throws {
        submit(request(id(Town.hub), "8.11", 1, .updateHANDeviceLog(.remove(device: device))))
        let command = try GBCSMessage(parsing: try #require(sent.last).bytes)
        guard case .removeDevice(let remove) = try MessageContent(of: command) else {
            Issue.record("\(command)")
            return
        }
        hear(
            .message(
                message(
                    .response, from: Town.hub, to: Town.broker, counter: command.header.counter,
                    command.header.otherInformation,
                    .deviceLogResponse(
                        DeviceLogResponse(
                            adding: false, invokeID: remove.invokeID, results: [0])))))
    }

    fileprivate var abandoned: [UInt32] {
        items.compactMap { if case .abandon(let number, Town.hub) = $0 { number } else { nil } }
    }

    /// The ESME's image once more, with Force Replace set.
    fileprivate func forced() throws -> FirmwareImage {
        let image = try #require(images[Town.esme])
        return try FirmwareImage.signed(
            header: image.header, manufacturerImage: image.manufacturerImage, forceReplace: true,
            by: Town.key(of: Town.supplier, "signing"))
    }
}

@Suite("Whether an image has reached its hub, and stays there")
struct ArrivalStories {
    @Test("an attempt that takes too long ends its transfer, and another begins")
    func timesOut() throws {
        var town = try Town()
        _ = town.update([Town.esme])
        town.wait(3_600 + 899)
        #expect(town.abandoned.isEmpty)
        town.wait(1)
        #expect(town.abandoned == [1])
        town.wait(600)
        #expect(town.deliveries.count == 2)
        town.wait(900 + 600 + 900)
        #expect(town.abandoned == [1, 1, 1] && town.alerts == ["N61"])
    }

    @Test("an earlier update's image is not the one that is still with the CSP")
    func earlierImage() throws {
        var town = try Town { $0.updateTimeout = 20_000 }
        let first = town.id()
        _ = town.update([Town.esme], id: first)
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        // Given up: it has said nothing.
        town.wait(20_000)
        #expect(town.alerts == ["N60", "N18"])
        var twin = try #require(town.dcc.inventory(of: Town.esme))
        twin.id = EUI64(0x00DB_0000_0000_00B0)
        town.inventory.append(twin)
        town.restart()
        let second = town.id()
        _ = town.update([Town.esme, twin.id], id: second)
        town.wait(60)
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        #expect(!town.alerts.dropFirst(2).contains("N60"))
        #expect(town.status(of: twin.id, under: second) == .atCSP)
        town.wait(3_600)
        #expect(town.deliveries.count == 2)
        town.hear(.stored(delivery: 2))
        #expect(town.status(of: twin.id, under: second) == .deliveredToHub)
    }

    @Test("who is given up while its image waits for its turn is not sent it any more")
    func givenUpWaiting() throws {
        var town = try Town {
            $0.updateTimeout = 10_000
            $0.defaultRegion.delay = 50_000
        }
        _ = town.update([Town.esme])
        town.wait(10_000)
        #expect(town.alerts == ["N18"])
        town.wait(100_000)
        #expect(town.deliveries.isEmpty && town.alerts == ["N18"] && !town.dcc.isBusy)
    }

    @Test("that the hub has it counts between two attempts as well", arguments: [false, true])
    func betweenAttempts(restarts: Bool) throws {
        var town = try Town()
        let update = town.id()
        _ = town.update([Town.esme], id: update)
        town.wait(3_600 + 900)
        if restarts { town.restart() }
        town.hear(.stored(delivery: 1))
        town.wait(100_000)
        #expect(town.alerts == ["N60"] && town.deliveries.count == 1)
        #expect(town.status(of: Town.esme, under: update) == .deliveredToHub)
    }

    @Test("N60 comes before what the device says of the image, whoever is heard first")
    func deviceFirst() throws {
        var town = try Town()
        let update = town.id()
        _ = town.update([Town.esme], id: update)
        town.wait(3_600)
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        #expect(
            town.hops(of: Town.esme, under: update).map(\.status)
                == [.atCSP, .delivering, .deliveredToHub, .verified])
        let told = town.notices.map { notice in
            switch notice.response.body {
            case .dccAlert(let code, _): code.rawValue
            case .deviceAlert(let code, _): Hex.string(UInt64(code), digits: 4)
            case .response: ""
            }
        }
        #expect(told == ["N60", "8F72"])
        // Nothing is sent any more, and the hub's own word is no news.
        #expect(town.abandoned == [1])
        town.hear(.stored(delivery: 1))
        town.wait(100_000)
        #expect(town.alerts == ["N60"] && town.deliveries.count == 1)
    }

    @Test(
        "an image that comes after N61 is told by N60, and what its device does with it",
        arguments: [false, true])
    func late(restarts: Bool) throws {
        var town = try Town()
        let update = town.id()
        _ = town.update([Town.esme], id: update)
        town.wait(3_600 + 3 * 900 + 2 * 600)
        #expect(town.alerts == ["N61"])
        if restarts { town.restart() }
        town.hear(.stored(delivery: 1))
        town.hear(.stored(delivery: 1))
        #expect(town.alerts == ["N61", "N60"])
        #expect(town.status(of: Town.esme, under: update) == .deliveredToHub)
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        #expect(town.status(of: Town.esme, under: update) == .verified)
    }

    @Test("one that comes after N61 and is not fetched ends like any other")
    func lateAndSilent() throws {
        var town = try Town { $0.updateTimeout = 86_400 }
        let update = town.id()
        _ = town.update([Town.esme], id: update)
        town.wait(3_600 + 3 * 900 + 2 * 600)
        town.hear(.stored(delivery: 1))
        town.restart()
        town.wait(86_400)
        #expect(town.alerts == ["N61", "N60", "N18"])
        #expect(town.status(of: Town.esme, under: update) == .transferFailed)
        town.wait(1_000_000)
        #expect(town.alerts.count == 3)
    }

    @Test("an image that the hub throws out ends the updates of those who do not have it")
    func thrownOut() throws {
        for says in [false, true] {
            var town = try Town()
            let update = town.esmeUpdate(with: [Town.esme])
            if says {
                town.transfer(.imageDiscarded, to: Town.esme, counter: 1)
            } else {
                // A hub from before CCS08.
                town.hear(.refused(delivery: 1, reason: "storeFull"))
            }
            #expect(town.alerts == ["N60", says ? "N62" : "N18"])
            let last = try #require(town.hops(of: Town.esme, under: update).last)
            #expect(last.status == .transferFailed && last.notice != nil)
            // Once, and the device may be asked again.
            town.hear(.refused(delivery: 1, reason: "storeFull"))
            town.transfer(.imageDiscarded, to: Town.esme, counter: 2)
            #expect(town.alerts.count == 2)
            #expect(town.update([Town.esme]).code == .acknowledged)
        }
    }

    @Test("whoever has the image does not mind that the hub throws it out")
    func hadIt() throws {
        var town = try Town()
        let update = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        town.transfer(.imageDiscarded, to: Town.esme, counter: 1)
        town.hear(.refused(delivery: 1, reason: "storeFull"))
        #expect(town.alerts == ["N60"])
        #expect(town.status(of: Town.esme, under: update) == .verified)
    }

    @Test("that a transfer has failed is told once, also by a hub that has lost its memory")
    func failsOnce() throws {
        var town = try Town()
        let update = town.id()
        _ = town.update([Town.ppmid], id: update)
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        town.transfer(.transferFailure, to: Town.ppmid, counter: 1)
        #expect(town.alerts == ["N60", "N62"])
        town.restart()
        town.transfer(.transferFailure, to: Town.ppmid, counter: 2)
        #expect(town.alerts == ["N60", "N62"])
        #expect(town.status(of: Town.ppmid, under: update) == .transferFailed)
    }

    @Test("Force Replace lets an update in for a device that waits for another, and ends that")
    func force() throws {
        var town = try Town()
        let forced = try forced(town)
        // At the CSP, being sent, and at the hub.
        for wait: UInt32 in [60, 3_600, 3_601] {
            var town = town
            let first = town.id()
            _ = town.update([Town.esme], id: first)
            town.wait(min(wait, 3_600))
            if wait > 3_600 { town.hear(.stored(delivery: 1)) }
            #expect(town.update([Town.esme]).warning?.otherRequest == [Town.esme])
            let second = town.id()
            #expect(town.update([Town.esme], with: forced, id: second).code == .acknowledged)
            let last = try #require(town.hops(of: Town.esme, under: first).last)
            #expect(last.status == (wait > 3_600 ? .transferFailed : .deliveryFailed))
            #expect(last.detail.contains("\(second)") && last.notice != nil)
            #expect(town.alerts.last == "N18")
            #expect(town.abandoned == (wait == 3_600 ? [1] : []))
            // What the hub says of the first is no news.
            town.hear(.refused(delivery: 1, reason: "storeFull"))
            town.wait(3_600)
            town.hear(.stored(delivery: 2))
            #expect(town.status(of: Town.esme, under: second) == .deliveredToHub)
            #expect(town.alerts.count { $0 == "N18" } == 1)
            #expect(town.alerts.last == "N60")
        }
        town = try Town { $0.letsForceReplace = false }
        _ = town.update([Town.esme])
        town.wait(60)
        #expect(
            town.update([Town.esme], with: forced).warning?.otherRequest == [Town.esme])
    }

    private func forced(_ town: Town) throws -> [UInt8] { try town.forced().encoded() }

    @Test("a device that is struck off ends its update, told once, and others go on")
    func struckOff() throws {
        for isSent in [false, true] {
            var town = try Town()
            var twin = try #require(town.dcc.inventory(of: Town.esme))
            twin.id = EUI64(0x00DB_0000_0000_00B0)
            town.inventory.append(twin)
            town.restart()
            let update = town.id()
            _ = town.update([Town.esme, twin.id], id: update)
            town.wait(isSent ? 3_600 : 60)
            try town.strikeOff(Town.esme)
            let last = try #require(town.hops(of: Town.esme, under: update).last)
            #expect(last.status == .deliveryFailed && last.detail.contains("struck off"))
            #expect(town.alerts == ["N18"])
            town.wait(isSent ? 0 : 3_600)
            #expect(town.deliveries.last?.targets == (isSent ? [Town.esme, twin.id] : [twin.id]))
            town.hear(.stored(delivery: 1))
            #expect(town.alerts == ["N18", "N60"])
            #expect(town.status(of: twin.id, under: update) == .deliveredToHub)
            #expect(town.hops(of: Town.esme, under: update).last == last)
        }
        // The only one of its delivery: nothing is sent.
        var town = try Town()
        _ = town.update([Town.esme])
        town.wait(60)
        try town.strikeOff(Town.esme)
        town.wait(100_000)
        #expect(town.deliveries.isEmpty && town.alerts == ["N18"] && !town.dcc.isBusy)
        // One that has the image does not come to run it.
        town = try Town()
        let update = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        try town.strikeOff(Town.esme)
        #expect(town.status(of: Town.esme, under: update) == .notActivated)
        #expect(town.alerts == ["N60"])
    }
}
