import Testing
import Wire
import Zigbee

@Suite("The OTA client")
struct OTAClientTests {
    @Test("a whole download: query, blocks in order, the last one shorter, check, Upgrade End")
    func story() throws {
        var bench = ClientBench()
        bench.begin(size: 200)
        var offsets: [UInt32] = []
        var sizes: [UInt8] = []
        while bench.client.isDownloading {
            let request = try bench.lastRequest()
            offsets.append(request.offset)
            sizes.append(request.maximumDataSize)
            #expect(request.minimumBlockPeriod == 0 && request.requester == nil)
            bench.now = bench.now + .milliseconds(12)
            #expect(
                bench.block()
                    == .store(offset: request.offset, count: Int(request.maximumDataSize)))
            bench.settle()
        }
        #expect(offsets == [0, 48, 96, 144, 192])
        #expect(sizes == [48, 48, 48, 48, 8])
        #expect(bench.client.blocks == 5)
        guard case .check(let image)? = bench.steps.last else {
            Issue.record("no check")
            return
        }
        #expect(image == ClientBench.image)
        #expect(bench.client.nextDeadline == .distantFuture)
        bench.client.finishedChecking(.success, at: bench.now)
        #expect(bench.client.status == .downloadComplete)
        #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
        #expect(Hex.string(try #require(bench.lastPayload).bytes) == "00d410010002000000")
    }

    struct EndTime: Sendable, CustomTestStringConvertible {
        var current: UInt32
        var upgrade: UInt32
        /// Seconds until it runs the image; nil for "wait to be told".
        var delay: Int64?
        var testDescription: String { "current \(current), upgrade \(upgrade)" }
    }

    @Test(
        "Upgrade End Response in all its time forms",
        arguments: [
            EndTime(current: 0, upgrade: 0, delay: 0), EndTime(current: 0, upgrade: 90, delay: 90),
            EndTime(current: 800, upgrade: 860, delay: 60),
            EndTime(current: 800, upgrade: 800, delay: 0),
            EndTime(current: 860, upgrade: 800, delay: 0),
            EndTime(current: 800, upgrade: 0, delay: 0),
            EndTime(current: 0, upgrade: .max, delay: nil),
            EndTime(current: 800, upgrade: .max, delay: nil),
            EndTime(current: 0, upgrade: .max - 1, delay: 4_294_967_294),
        ])
    func endTimes(time: EndTime) {
        for byOrderOnly in [false, true] {
            var bench = ClientBench { $0.activationByOrderOnly = byOrderOnly }
            bench.begin()
            bench.finish()
            bench.settle()
            let verdict = bench.client.upgradeEndResponse(
                UpgradeEndResponse(
                    image: ClientBench.image, currentTime: time.current, upgradeTime: time.upgrade),
                at: bench.now)
            guard let delay = time.delay, !byOrderOnly else {
                #expect(verdict == (time.delay == nil ? .awaitingOrder : .refusedTime))
                #expect(bench.client.status == .waitingToUpgrade)
                // It asks again every hour and never runs the image by itself.
                let start = bench.now
                for hour in 1...30 as ClosedRange<Int64> {
                    #expect(bench.wait() == [OTACommandID.upgradeEndRequest])
                    #expect(bench.now == start + .hours(hour))
                    #expect(
                        bench.client.upgradeEndResponse(
                            UpgradeEndResponse(
                                image: ClientBench.image, currentTime: 0, upgradeTime: .max),
                            at: bench.now) == .awaitingOrder)
                }
                continue
            }
            #expect(verdict == .countingDown(.seconds(delay)))
            #expect(bench.client.status == .countDown)
            #expect(bench.client.nextDeadline == bench.now + .seconds(delay))
            bench.now = bench.now + .seconds(delay) - .microseconds(1)
            if delay > 0 { #expect(bench.settle() == []) }
            bench.now = bench.now + .microseconds(1)
            bench.settle()
            guard case .activate(ClientBench.image)? = bench.steps.last else {
                Issue.record("not activated")
                continue
            }
            #expect(bench.client.nextDeadline == .distantFuture)
        }
    }

    @Test("a second Upgrade End Response shortens the wait, lengthens it, or turns it into waiting")
    func secondResponse() {
        func respond(_ bench: inout ClientBench, _ upgrade: UInt32) -> OTAClient.Verdict {
            bench.client.upgradeEndResponse(
                UpgradeEndResponse(
                    image: ImageIdentity(
                        manufacturer: 0xFFFF, imageType: 0xFFFF, version: 0xFFFF_FFFF),
                    currentTime: 0, upgradeTime: upgrade), at: bench.now)
        }
        var bench = ClientBench()
        bench.begin()
        bench.finish()
        bench.settle()
        #expect(respond(&bench, .max) == .awaitingOrder)
        #expect(respond(&bench, 1_000) == .countingDown(.seconds(1_000)))
        bench.now = bench.now + .seconds(10)
        bench.settle()
        #expect(respond(&bench, 5) == .countingDown(.seconds(5)))
        #expect(bench.client.nextDeadline == bench.now + .seconds(5))
        #expect(respond(&bench, .max) == .awaitingOrder)
        #expect(bench.client.status == .waitingToUpgrade)
        #expect(respond(&bench, 0) == .countingDown(.zero))
        bench.settle()
        guard case .activate? = bench.steps.last else {
            Issue.record("not activated")
            return
        }
    }

    @Test("Upgrade End Response is accepted only for the held image, and only when there is one")
    func endOutOfState() {
        let response = UpgradeEndResponse(
            image: ClientBench.image, currentTime: 0, upgradeTime: 0)
        var bench = ClientBench()
        #expect(
            bench.client.upgradeEndResponse(response, at: bench.now) == .dropped(.otaOutOfState))
        bench.begin()
        #expect(
            bench.client.upgradeEndResponse(response, at: bench.now) == .dropped(.otaOutOfState))
        bench.finish()
        bench.settle()
        for wrong in [
            ImageIdentity(manufacturer: 1, imageType: 1, version: 2),
            ImageIdentity(manufacturer: 0x10D4, imageType: 2, version: 2),
            ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 3),
        ] {
            #expect(
                bench.client.upgradeEndResponse(
                    UpgradeEndResponse(image: wrong, currentTime: 0, upgradeTime: 0),
                    at: bench.now) == .dropped(.otaWrongImage))
        }
        #expect(bench.client.upgradeEndResponse(response, at: bench.now) == .countingDown(.zero))
    }

    @Test("WAIT_FOR_DATA: seconds from now or between two times; with none, only a new pace")
    func waitForData() throws {
        let cases: [(UInt32, UInt32, UInt16?, Int64)] = [
            (0, 60, nil, 60_000), (0, 60, 500, 60_000), (1_000, 1_007, nil, 7_000),
            (1_000, 1_000, 700, 700), (1_000, 900, 300, 300), (0, 0, 250, 250), (0, 0, nil, 0),
            (5, 5, nil, 0),
        ]
        for (current, request, period, milliseconds) in cases {
            var bench = ClientBench()
            bench.begin()
            _ = bench.block()
            bench.settle()
            let asked = bench.now
            let verdict = bench.client.imageBlockResponse(
                .wait(currentTime: current, requestTime: request, minimumBlockPeriod: period),
                at: bench.now)
            let delay = Interval.seconds(Int64(request > current ? request - current : 0))
            #expect(verdict == .waiting(delay, period: period ?? 0))
            let sent = bench.wait()
            #expect(sent == [OTACommandID.imageBlockRequest])
            #expect(bench.now == asked + .milliseconds(milliseconds))
            #expect(try bench.lastRequest().offset == 48)
            #expect(try bench.lastRequest().minimumBlockPeriod == period ?? 0)
        }
    }

    @Test("a MinimumBlockPeriod paces requests in milliseconds, or in seconds on old peers")
    func pace() {
        for (inSeconds, period, expected) in [
            (false, 500, Interval.milliseconds(500)), (true, 5, Interval.seconds(5)),
        ] {
            var bench = ClientBench { $0.blockPeriodInSeconds = inSeconds }
            bench.begin(size: 1_000)
            _ = bench.client.imageBlockResponse(
                .wait(currentTime: 0, requestTime: 0, minimumBlockPeriod: UInt16(period)),
                at: bench.now)
            bench.wait()
            for _ in 0..<5 {
                let asked = bench.now
                bench.now = bench.now + .milliseconds(30)
                _ = bench.block()
                #expect(bench.settle() == [])
                #expect(bench.wait() == [OTACommandID.imageBlockRequest])
                #expect(bench.now == asked + expected)
            }
            // An answer that took longer than the period is followed at once.
            bench.now = bench.now + .milliseconds(4_900) + expected
            _ = bench.block()
            #expect(bench.settle() == [OTACommandID.imageBlockRequest])
        }
    }

    @Test("waiting does not count as a try; three unanswered repeats do, and then it gives up")
    func retries() {
        var bench = ClientBench()
        bench.begin()
        for _ in 0..<20 {
            _ = bench.client.imageBlockResponse(
                .wait(currentTime: 0, requestTime: 1, minimumBlockPeriod: nil), at: bench.now)
            #expect(bench.wait() == [OTACommandID.imageBlockRequest])
        }
        let asked = bench.now
        for retry in 1...3 as ClosedRange<Int64> {
            #expect(bench.wait() == [OTACommandID.imageBlockRequest])
            #expect(bench.now == asked + .seconds(5 * retry))
        }
        #expect(bench.wait() == [])
        guard case .gaveUp(ClientBench.image, 0)? = bench.steps.last else {
            Issue.record("did not give up")
            return
        }
        #expect(bench.client.status == .normal)
        let gaveUp = bench.now
        #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
        #expect(bench.now == gaveUp + .minutes(10))
    }

    @Test("a block that is not the one asked for is not stored, and the right one still is")
    func wrongBlocks() {
        var bench = ClientBench()
        bench.begin()
        _ = bench.block()
        bench.settle()
        func give(_ image: ImageIdentity, _ offset: UInt32, _ count: UInt8) -> OTAClient.Verdict {
            bench.client.imageBlockResponse(
                .block(image, offset: offset, count: count), at: bench.now)
        }
        let image = ClientBench.image
        #expect(give(image, 0, 48) == .dropped(.otaWrongOffset))
        #expect(give(image, 96, 48) == .dropped(.otaWrongOffset))
        #expect(give(image, 48, 0) == .dropped(.otaWrongOffset))
        #expect(give(image, 48, 49) == .dropped(.otaWrongOffset))
        var other = image
        other.version = 3
        #expect(give(other, 48, 48) == .dropped(.otaWrongImage))
        other = image
        other.manufacturer = 1
        #expect(give(other, 48, 48) == .dropped(.otaWrongImage))
        other = image
        other.imageType = 9
        #expect(give(other, 48, 48) == .dropped(.otaWrongImage))
        #expect(bench.client.offset == 48)
        // Fewer bytes than asked for are taken, and the next request begins behind them.
        #expect(give(image, 48, 10) == .store(offset: 48, count: 10))
        #expect(bench.client.offset == 58)
        bench.settle()
        // More than is left is cut.
        while bench.client.offset < 190 { _ = bench.block(12); bench.settle() }
        #expect(give(image, bench.client.offset, 48) == .store(offset: 190, count: 10))
        #expect(give(image, 200, 1) == .dropped(.otaOutOfState))
    }

    @Test("ABORT ends a download at any time; the next query comes in its time")
    func abort() {
        for blocks in 0..<4 {
            for waiting in [false, true] {
                var bench = ClientBench()
                bench.begin()
                for _ in 0..<blocks { _ = bench.block(); bench.settle() }
                if waiting {
                    _ = bench.client.imageBlockResponse(
                        .wait(currentTime: 0, requestTime: 60, minimumBlockPeriod: nil),
                        at: bench.now)
                    bench.settle()
                }
                #expect(
                    bench.client.imageBlockResponse(.refused(.abort), at: bench.now)
                        == .accepted)
                bench.settle()
                guard case .aborted(ClientBench.image, let offset)? = bench.steps.last else {
                    Issue.record("not aborted")
                    continue
                }
                #expect(offset == UInt32(48 * blocks))
                #expect(bench.client.status == .normal && !bench.client.isDownloading)
                #expect(bench.client.attribute(OTAAttributeID.fileOffset)?.value == 0xFFFF_FFFF)
                #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
            }
        }
    }

    @Test("an image that fails its check is reported INVALID_IMAGE and dropped")
    func invalid() throws {
        var bench = ClientBench()
        bench.begin()
        bench.finish(.invalidImage)
        #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
        #expect(Hex.string(try #require(bench.lastPayload).bytes) == "96d410010002000000")
        #expect(bench.client.status == .normal && bench.client.image == nil)
        let ended = bench.now
        #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
        #expect(bench.now == ended + .hours(24))
    }

    @Test("an unanswered Upgrade End Request is repeated, quickly at first, then by the hour")
    func endRepeats() {
        var bench = ClientBench()
        bench.begin()
        bench.finish()
        bench.settle()
        var times: [Interval] = []
        let start = bench.now
        for _ in 0..<6 {
            #expect(bench.wait() == [OTACommandID.upgradeEndRequest])
            times.append(bench.now - start)
        }
        #expect(times.prefix(3) == [.seconds(5), .seconds(10), .seconds(15)])
        #expect(times[4] - times[3] == .minutes(60) && times[5] - times[4] == .minutes(60))
    }

    @Test("after a restart a download goes on where it was, if the offer is still the same")
    func resume() throws {
        for (image, size, expected) in [
            (ClientBench.image, 200, 96), (ClientBench.image, 201, 0),
            (ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 3), 200, 0),
        ] as [(ImageIdentity, UInt32, UInt32)] {
            var bench = ClientBench()
            bench.client.restore(
                image: ClientBench.image, size: 200, offset: 96, status: .downloadInProgress)
            #expect(bench.client.attribute(OTAAttributeID.fileOffset)?.value == 96)
            bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
            #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
            _ = bench.client.queryNextImageResponse(
                QueryNextImageResponse(offering: image, size: size), at: bench.now)
            bench.settle()
            #expect(try bench.lastRequest().offset == expected)
            #expect(try bench.lastRequest().image == image)
        }
        var bench = ClientBench()
        bench.client.restore(
            image: ClientBench.image, size: 200, offset: 200, status: .waitingToUpgrade)
        bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
        #expect(bench.wait() == [OTACommandID.upgradeEndRequest])
    }

    @Test("what is offered must fit and be news")
    func offers() {
        func answer(
            _ response: QueryNextImageResponse,
            _ change: (inout OTAClientSettings) -> Void = { _ in }
        ) -> OTAClient.Verdict {
            var bench = ClientBench(change)
            #expect(
                bench.client.queryNextImageResponse(response, at: bench.now)
                    == .dropped(.otaOutOfState))
            bench.client.bind(to: ClientBench.server, at: bench.now, after: .zero)
            bench.wait()
            let verdict = bench.client.queryNextImageResponse(response, at: bench.now)
            if verdict != .accepted {
                #expect(!bench.client.isDownloading)
                bench.wait()
            }
            return verdict
        }
        func offer(_ manufacturer: UInt16, _ type: UInt16, _ version: UInt32, _ size: UInt32 = 9)
            -> QueryNextImageResponse
        {
            QueryNextImageResponse(
                offering: ImageIdentity(
                    manufacturer: manufacturer, imageType: type, version: version), size: size)
        }
        #expect(answer(offer(0x10D4, 1, 2)) == .accepted)
        #expect(answer(offer(0x10D4, 1, 0)) == .accepted)
        #expect(
            answer(offer(0x10D4, 1, 0)) { $0.acceptsDowngrade = false } == .nothingOffered(.success)
        )
        #expect(answer(offer(0x10D4, 1, 1)) == .nothingOffered(.success))
        #expect(answer(offer(0x10D5, 1, 2)) == .dropped(.otaWrongImage))
        #expect(answer(offer(0x10D4, 2, 2)) == .dropped(.otaWrongImage))
        #expect(answer(offer(0x10D4, 1, 2, 0)) == .dropped(.otaWrongImage))
        for status in [ZCLStatus.noImageAvailable, .notAuthorized, .malformedCommand] {
            #expect(answer(QueryNextImageResponse(refusing: status)) == .nothingOffered(status))
        }
    }

    @Test("a broadcast notification is answered by lot, in the share that its jitter says")
    func jitter() {
        for jitter in [1, 10, 50, 90, 100] as [UInt8] {
            var accepted = 0
            for seed in 0..<2_000 as Range<UInt64> {
                var bench = ClientBench(seed: seed)
                bench.client.bind(to: ClientBench.server, at: bench.now, after: .hours(1))
                let verdict = bench.client.imageNotify(
                    ImageNotify(jitter: jitter), isBroadcast: true, at: bench.now)
                switch verdict {
                case .accepted:
                    accepted += 1
                    #expect(bench.settle() == [OTACommandID.queryNextImageRequest])
                case .dropped(.otaJitter): #expect(bench.settle() == [])
                default: Issue.record("\(verdict)")
                }
            }
            // Standard deviation at most 22.4: five of them either way.
            let expected = 20 * Int(jitter)
            #expect(abs(accepted - expected) <= 112, "jitter \(jitter): \(accepted)")
            if jitter == 100 { #expect(accepted == 2_000) }
            if jitter == 1 { #expect(accepted > 0) }
        }
    }

    @Test("a notification counts for its manufacturer and type only, a broadcast one for news only")
    func notify() {
        func verdict(_ notify: ImageNotify, broadcast: Bool) -> OTAClient.Verdict {
            var bench = ClientBench()
            #expect(
                bench.client.imageNotify(notify, isBroadcast: broadcast, at: bench.now)
                    == .dropped(.otaOutOfState))
            bench.client.bind(to: ClientBench.server, at: bench.now, after: .hours(1))
            return bench.client.imageNotify(notify, isBroadcast: broadcast, at: bench.now)
        }
        for broadcast in [false, true] {
            #expect(verdict(ImageNotify(jitter: 100), broadcast: broadcast) == .accepted)
            #expect(
                verdict(ImageNotify(jitter: 100, manufacturer: 5), broadcast: broadcast)
                    == .dropped(.otaWrongImage))
            #expect(
                verdict(
                    ImageNotify(jitter: 100, manufacturer: 0x10D4, imageType: 9),
                    broadcast: broadcast) == .dropped(.otaWrongImage))
            #expect(
                verdict(
                    ImageNotify(jitter: 100, manufacturer: 0xFFFF, imageType: 0xFFFF, version: 2),
                    broadcast: broadcast) == .accepted)
        }
        let same = ImageNotify(jitter: 100, manufacturer: 0x10D4, imageType: 1, version: 1)
        #expect(verdict(same, broadcast: true) == .dropped(.otaWrongImage))
        #expect(verdict(same, broadcast: false) == .accepted)
        #expect(verdict(ImageNotify(jitter: 1), broadcast: false) == .accepted)
    }

    @Test("a default response with an error ends what it answers")
    func defaultResponses() {
        var bench = ClientBench()
        bench.client.bind(to: ClientBench.server, at: bench.now, after: .zero)
        bench.wait()
        #expect(
            bench.client.defaultResponse(
                to: OTACommandID.queryNextImageRequest, status: .unsupportedClusterCommand,
                at: bench.now) == .nothingOffered(.unsupportedClusterCommand))
        bench.wait()
        _ = bench.client.queryNextImageResponse(
            QueryNextImageResponse(offering: ClientBench.image, size: 99), at: bench.now)
        bench.settle()
        #expect(
            bench.client.defaultResponse(
                to: OTACommandID.imageBlockRequest, status: .success, at: bench.now) == .accepted)
        #expect(bench.client.isDownloading)
        #expect(
            bench.client.defaultResponse(
                to: OTACommandID.imageBlockRequest, status: .noImageAvailable, at: bench.now)
                == .accepted)
        bench.settle()
        #expect(!bench.client.isDownloading)
    }

    @Test("a paused client is silent until it wakes, and then goes on")
    func paused() {
        var bench = ClientBench()
        bench.begin()
        _ = bench.block()
        bench.client.pause(true)
        #expect(bench.settle() == [])
        #expect(bench.client.nextDeadline == .distantFuture)
        bench.now = bench.now + .hours(3)
        #expect(bench.settle() == [])
        bench.client.pause(false)
        #expect(bench.settle() == [OTACommandID.imageBlockRequest])
    }

    @Test("whatever it is told and whenever, it comes to rest with its next deadline ahead")
    func anything() {
        for seed in 0..<400 as Range<UInt64> {
            var stream = SeededStream(Seed(seed))
            var bench = ClientBench(
                {
                    $0.activationByOrderOnly = seed % 2 == 0
                    $0.supportsBlockPeriod = seed % 3 == 0
                    $0.pageSize = seed % 5 == 0 ? 150 : 0
                    $0.furtherImageTypes = seed % 7 == 0 ? [1] : []
                    $0.deviceFile = seed % 4 == 0 ? 1 : nil
                    $0.appliesAfterTimeout = seed % 6 == 0
                }, seed: seed)
            func someImage() -> ImageIdentity {
                stream.below(8) == 0
                    ? ImageIdentity(manufacturer: 1, imageType: 1, version: 2) : ClientBench.image
            }
            for _ in 0..<300 {
                switch stream.below(18) {
                case 0: bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
                case 1:
                    _ = bench.client.queryNextImageResponse(
                        QueryNextImageResponse(
                            offering: someImage(), size: UInt32(stream.below(300))), at: bench.now)
                case 2:
                    _ = bench.client.queryNextImageResponse(
                        QueryNextImageResponse(refusing: .noImageAvailable), at: bench.now)
                case 3, 4, 5, 6:
                    _ = bench.client.imageBlockResponse(
                        .block(
                            someImage(),
                            offset: bench.client.offset &+ UInt32(stream.below(12) / 11),
                            count: UInt8(stream.below(50))), at: bench.now)
                case 7:
                    _ = bench.client.imageBlockResponse(
                        .wait(
                            currentTime: UInt32(stream.below(3)) * 0x7FFF_FFFF,
                            requestTime: UInt32(truncatingIfNeeded: stream.next()),
                            minimumBlockPeriod: UInt16(stream.below(65_536))), at: bench.now)
                case 8 where stream.below(5) == 0:
                    _ = bench.client.imageBlockResponse(.refused(.abort), at: bench.now)
                case 9:
                    bench.client.finishedChecking(
                        [.success, .invalidImage, .requireMoreImage][Int(stream.below(3))],
                        at: bench.now)
                case 10:
                    _ = bench.client.upgradeEndResponse(
                        UpgradeEndResponse(
                            image: someImage(), currentTime: UInt32(stream.below(2)),
                            upgradeTime: UInt32(truncatingIfNeeded: stream.next())), at: bench.now)
                case 11:
                    _ = bench.client.imageNotify(
                        ImageNotify(jitter: 50), isBroadcast: true, at: bench.now)
                case 12 where stream.below(6) == 0:
                    bench.client.finished(running: UInt32(stream.below(4)), at: bench.now)
                case 12:
                    _ = bench.client.defaultResponse(
                        to: UInt8(stream.below(10)),
                        status: [.unsupportedClusterCommand, .noImageAvailable, .success][
                            Int(stream.below(3))], at: bench.now)
                case 13: bench.client.pause(stream.below(2) == 0)
                case 14: _ = bench.client.cancel(at: bench.now)
                case 15:
                    _ = bench.client.deviceSpecificFileResponse(
                        QueryNextImageResponse(
                            offering: someImage(), size: UInt32(stream.below(300))), at: bench.now)
                case 16: bench.client.queryFile(1, at: bench.now)
                default: bench.wait(.seconds(Int64(stream.below(40))))
                }
                bench.settle()
                #expect(bench.client.nextDeadline > bench.now)
                #expect(bench.client.offset <= bench.client.size)
            }
        }
    }
}
