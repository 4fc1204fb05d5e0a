import Crypto
import DCC
import GBCS
import Testing
import Wire

extension Town {
    /// The last thing that the tracking was told of a device under a request.
    func status(of device: EUI64, under request: RequestID) -> TrackingStatus? {
        hops(of: device, under: request).last?.status
    }

    func hops(of device: EUI64, under request: RequestID) -> [TrackingRecord] {
        items.compactMap {
            if case .track(let record) = $0, record.device == device, record.request == request {
                record
            } else {
                nil
            }
        }
    }

    /// An update of the ESME whose image its hub has.
    mutating func esmeUpdate(with others: [EUI64] = []) -> RequestID {
        let request = id()
        #expect(update([Town.esme] + others, id: request).code.isError == false)
        wait(3_600)
        for delivery in deliveries { hear(.stored(delivery: delivery.number)) }
        return request
    }

    /// The device has verified an image (8F72).
    mutating func verify(_ image: FirmwareImage, counter: UInt64) {
        hear(
            .message(
                message(
                    .alert, from: Town.esme, to: Town.supplier, counter: counter,
                    OtherInformation(.firmwareReceiptDLMS),
                    .firmwareReceiptAlert(
                        FirmwareReceiptAlert(
                            form: .dlms(
                                invokeID: 0x2000_0001,
                                time: COSEMDateTime(GeneralizedTime(secondsSince2000: 1_000)!)),
                            isVerified: true, hash: image.manufacturerImageHash)))))
    }

    /// An 11.3 for the ESME from its transform to the signed pre-command.
    fileprivate mutating func order(
        _ hash: Digest256, _ execution: ExecutionTime? = nil
    ) throws -> RequestID {
        let id = id(Town.esme)
        let answer = submit(
            request(id, "11.3", 4, .activateFirmware(hash: hash, execution: execution)))
        guard case .response(_, _, .preCommand(_, let bytes)) = answer.body else {
            throw Unexpected(answer: answer)
        }
        let message = try GBCSMessage(parsing: bytes)
        let payload = message.signed(by: Town.key(of: Town.supplier, "signing")).encoded()
        let sent = submit(request(id, "11.3", 5, .signedPreCommand(payload: payload)))
        guard !sent.code.isError else { throw Unexpected(answer: sent) }
        return id
    }

    fileprivate mutating func answer(_ id: RequestID, _ response: ActivateFirmwareResponse) {
        hear(
            .message(
                message(
                    .response, from: Town.esme, to: Town.supplier, counter: id.counter,
                    OtherInformation(.activateFirmware), .activateFirmwareResponse(response))))
    }

    fileprivate mutating func answer(
        _ id: RequestID, _ result: ActivationResult, runs version: UInt32
    ) {
        answer(id, .executed(ActivationOutcome(result: result, version: version)))
    }

    /// The ESME says what it runs, to an 11.2.
    fileprivate mutating func read(_ version: UInt32) throws {
        let id = id(Town.esme)
        submit(request(id, "11.2", 1, .readFirmwareVersion(execution: nil)))
        let command = try GBCSMessage(parsing: try #require(sent.last).bytes)
        guard case .readESMEFirmwareVersion(let read) = try MessageContent(of: command) else {
            Issue.record("\(command)")
            return
        }
        hear(
            .message(
                message(
                    .response, from: Town.esme, to: Town.supplier, counter: command.header.counter,
                    command.header.otherInformation,
                    .esmeFirmwareVersionResponse(
                        ESMEFirmwareVersionResponse(invokeID: read.invokeID, version: version)))))
    }

    fileprivate struct Unexpected: Error { var answer: ServiceResponse }
}

@Suite("An update that has ended without its image running")
struct AfterwardsStories {
    private static let new: UInt32 = 0x0200_0000
    private static let old: UInt32 = 0x0100_0001

    private func hash(_ town: Town) throws -> Digest256 {
        try #require(town.images[Town.esme]).manufacturerImageHash
    }

    @Test(
        "an order for later that is taken back leaves the update where it was",
        arguments: [false, true])
    func takenBack(restarts: Bool) throws {
        var town = try Town()
        let update = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 86_400)
        let order = try town.order(try hash(town), .at(moment))
        town.answer(order, .accepted)
        #expect(town.status(of: Town.esme, under: update) == .activationPending)
        if restarts { town.restart() }
        let cancellation = try town.order(try hash(town), .never)
        town.answer(cancellation, .accepted)
        let last = try #require(town.hops(of: Town.esme, under: update).last)
        #expect(last.status == .verified && last.isTakenBack)
        // It can be ordered anew.
        town.answer(try town.order(try hash(town)), .success, runs: Self.new)
        #expect(town.status(of: Town.esme, under: update) == .activated)
    }

    @Test("an order for later that names another image is not the update's, and fails alone")
    func otherImage() throws {
        var town = try Town()
        let update = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 86_400)
        let first = try town.order(try hash(town), .at(moment))
        town.answer(first, .accepted)
        let other = try #require(town.images[Town.gsme]).manufacturerImageHash
        let second = try town.order(other, .at(moment))
        #expect(town.status(of: Town.esme, under: update) == .activationPending)
        town.answer(second, .accepted)
        // The device has one thing to do later.
        #expect(town.status(of: Town.esme, under: update) == .verified)
        #expect(town.statuses(of: first).last == .notActivated)
        town.wait(86_400)
        town.hear(
            .message(
                town.message(
                    .alert, from: Town.esme, to: Town.supplier, counter: 9,
                    OtherInformation(.futureDatedFirmwareAlert),
                    .futureDatedFirmwareAlert(
                        FutureDatedFirmwareAlert(
                            executedAt: GeneralizedTime(
                                secondsSince2000: moment.secondsSince2000)!,
                            originatorCounter: second.counter,
                            outcome: ActivationOutcome(
                                result: .hashMismatch, version: Self.old))))))
        #expect(town.statuses(of: second).last == .activationFailed)
        #expect(town.status(of: Town.esme, under: update) == .verified)
    }

    @Test("an image that came after its update was given up waits no longer than for the next one")
    func displaced() throws {
        var town = try Town { $0.updateTimeout = 20_000 }
        let first = town.esmeUpdate()
        town.wait(20_000)
        #expect(town.status(of: Town.esme, under: first) == .transferFailed)
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        #expect(town.status(of: Town.esme, under: first) == .verified)
        let second = town.id()
        #expect(town.update([Town.esme], id: second).code.isError == false)
        let last = try #require(town.hops(of: Town.esme, under: first).last)
        #expect(last.status == .notActivated && last.detail.contains("\(second)"))
    }

    @Test(
        "an activation that fails, and another that does not, are both the update's",
        arguments: [[], [Town.esme]], [false, true])
    func again(others: [EUI64], restarts: Bool) throws {
        var town = try Town()
        // With a meter that is never heard of, the update stays open meanwhile.
        var stays: [EUI64] = []
        if !others.isEmpty {
            var twin = try #require(town.dcc.inventory(of: Town.esme))
            twin.id = EUI64(0x00DB_0000_0000_00B0)
            town.inventory.append(twin)
            town.restart()
            stays = [twin.id]
        }
        let update = town.esmeUpdate(with: stays)
        let failed = try town.order(try hash(town))
        #expect(town.status(of: Town.esme, under: update) == .activationOrdered)
        town.answer(failed, .noImageHeld, runs: Self.old)
        #expect(town.status(of: Town.esme, under: update) == .activationFailed)
        if restarts { town.restart() }
        let order = try town.order(try hash(town))
        #expect(town.status(of: Town.esme, under: update) == .activationOrdered)
        if restarts { town.restart() }
        town.answer(order, .success, runs: Self.new)
        #expect(town.status(of: Town.esme, under: update) == .activated)
        #expect(!town.records.keys.contains { $0.kind == .former })
    }

    @Test("a second failure, and silence, come to an end as well")
    func neverRuns() throws {
        var town = try Town {
            $0.commandTimeout = 600
            $0.activationTimeout = 86_400
        }
        let update = town.esmeUpdate()
        for _ in 0..<2 {
            town.answer(try town.order(try hash(town)), .noImageHeld, runs: Self.old)
            #expect(town.status(of: Town.esme, under: update) == .activationFailed)
        }
        _ = try town.order(try hash(town))
        town.wait(600)
        #expect(town.status(of: Town.esme, under: update) == .activationOrdered)
        town.restart()
        town.wait(86_400)
        #expect(town.status(of: Town.esme, under: update) == .notActivated)
        town.wait(1_000_000)
        #expect(town.hops(of: Town.esme, under: update).count { $0.status == .notActivated } == 1)
    }

    @Test("an image that nobody activates ends its update after activationTimeout")
    func expires() throws {
        var town = try Town { $0.activationTimeout = 86_400 }
        let update = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        town.wait(86_399)
        #expect(town.status(of: Town.esme, under: update) == .verified)
        town.wait(1)
        let last = try #require(town.hops(of: Town.esme, under: update).last)
        #expect(last.status == .notActivated && last.status.isFinal)
        #expect(last.detail.contains("has the image"))
        // Nothing is kept of it but which request it was.
        #expect(town.records.keys.allSatisfy { ![.update, .progress, .target].contains($0.kind) })
        // It is not too late.
        town.answer(try town.order(try hash(town)), .success, runs: Self.new)
        #expect(town.status(of: Town.esme, under: update) == .activated)
    }

    @Test("an activation for later is waited for until activationTimeout after its time")
    func later() throws {
        var town = try Town {
            $0.activationTimeout = 3_600
            $0.commandTimeout = 600
        }
        let update = town.esmeUpdate()
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 90 * 86_400)
        town.answer(try town.order(try hash(town), .at(moment)), .accepted)
        town.wait(90 * 86_400)
        #expect(town.status(of: Town.esme, under: update) == .activationPending)
        town.wait(600 + 3_600)
        #expect(town.status(of: Town.esme, under: update) == .notActivated)
    }

    @Test("another update takes the place of one that waits for its activation")
    func superseded() throws {
        var town = try Town()
        let first = town.esmeUpdate()
        town.verify(try #require(town.images[Town.esme]), counter: 1)
        let second = town.id()
        #expect(town.update([Town.esme], id: second).code == .acknowledged)
        let last = try #require(town.hops(of: Town.esme, under: first).last)
        #expect(last.status == .notActivated)
        #expect(last.detail.contains("\(second)"))
    }

    @Test("what had been ordered before another update came is still its own update's")
    func overtaken() throws {
        var town = try Town()
        let image = try #require(town.images[Town.esme])
        var header = image.header
        header.fileVersion = 0x0300_0000
        let next = try FirmwareImage.signed(
            header: header,
            manufacturerImage: FirmwareImage.samplePayload(size: 2_000, seed: 99),
            forceReplace: false, by: Town.key(of: Town.supplier, "signing"))
        var entry = try #require(town.products.first { $0.type == .esme })
        (entry.version, entry.hash) = (0x0300_0000, next.manufacturerImageHash.bytes)
        entry.installableFrom = []
        town.products.append(entry)
        town.restart()
        let first = town.esmeUpdate()
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 86_400)
        let order = try town.order(image.manufacturerImageHash, .at(moment))
        town.answer(order, .accepted)
        let second = town.id()
        let answer = town.update(
            [Town.esme], with: next.encoded(), version: "03000000", id: second)
        #expect(answer.code == .acknowledged)
        town.wait(7_200)
        #expect(town.status(of: Town.esme, under: first) == .activationPending)
        town.answer(order, .success, runs: Self.new)
        #expect(town.status(of: Town.esme, under: first) == .activated)
        #expect(town.status(of: Town.esme, under: second) == .delivering)
    }

    @Test("a device given up that is found to run the image, or says so, has got there")
    func foundLate() throws {
        for says in [false, true] {
            var town = try Town { $0.updateTimeout = 86_400 }
            let update = town.esmeUpdate()
            town.wait(86_400)
            #expect(town.status(of: Town.esme, under: update) == .transferFailed)
            if says {
                try town.read(Self.new)
            } else {
                town.find(Self.new, on: Town.esme)
            }
            #expect(town.status(of: Town.esme, under: update) == .activated)
        }
    }

    @Test("an order that comes before the image has no bearing on the update")
    func early() throws {
        var town = try Town()
        let update = town.id()
        #expect(town.update([Town.esme], id: update).code == .acknowledged)
        town.wait(60)
        let order = try town.order(try hash(town))
        town.answer(order, .noImageHeld, runs: Self.old)
        #expect(town.status(of: Town.esme, under: update) == .atCSP)
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        #expect(town.status(of: Town.esme, under: update) == .deliveredToHub)
    }
}
