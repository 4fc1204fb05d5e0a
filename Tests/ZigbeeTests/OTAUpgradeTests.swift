import Testing
import Wire
import Zigbee

@Suite("The OTA client once its image is there")
struct OTAUpgradeTests {
    static func held(_ change: (inout OTAClientSettings) -> Void = { _ in }) -> ClientBench {
        var bench = ClientBench(change)
        bench.begin()
        bench.finish()
        bench.settle()
        return bench
    }

    static func answer(_ bench: inout ClientBench, _ upgrade: UInt32 = .max) -> OTAClient.Verdict {
        bench.client.upgradeEndResponse(
            UpgradeEndResponse(image: ClientBench.image, currentTime: 0, upgradeTime: upgrade),
            at: bench.now)
    }

    @Test("after three hours without an answer it stops asking, keeps the image and looks daily")
    func stopsAsking() {
        var bench = Self.held()
        #expect(Self.answer(&bench) == .awaitingOrder)
        for _ in 0..<3 { #expect(bench.wait() == [OTACommandID.upgradeEndRequest]) }
        #expect(bench.wait() == [])
        guard case .stoppedAsking(ClientBench.image, .timeout)? = bench.steps.last else {
            Issue.record("goes on asking")
            return
        }
        #expect(bench.client.status == .waitingToUpgrade && bench.client.image != nil)
        let stopped = bench.now
        #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
        #expect(bench.now == stopped + .hours(24))
        // The same image again: the server is back, and may say when.
        _ = bench.client.queryNextImageResponse(
            QueryNextImageResponse(offering: ClientBench.image, size: 200), at: bench.now)
        #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
        #expect(Self.answer(&bench, 0) == .countingDown(.zero))
    }

    @Test("where the policy is to upgrade after the timeout it does, unless only an order may")
    func appliesAfterTimeout() {
        for byOrderOnly in [false, true] {
            var bench = Self.held {
                $0.appliesAfterTimeout = true
                $0.activationByOrderOnly = byOrderOnly
            }
            let policy = bench.client.attribute(OTAAttributeID.upgradeTimeoutPolicy)?.value
            #expect(policy == (byOrderOnly ? 1 : 0))
            for _ in 0..<10 { bench.wait(.hours(2)) }
            let isActivated = bench.steps.contains {
                if case .activate = $0 { true } else { false }
            }
            #expect(isActivated == !byOrderOnly)
        }
    }

    @Test("an answer counts anew: with one every few hours it never stops asking")
    func patience() {
        var bench = Self.held()
        for _ in 0..<10 {
            #expect(Self.answer(&bench) == .awaitingOrder)
            for _ in 0..<3 { #expect(bench.wait() == [OTACommandID.upgradeEndRequest]) }
        }
    }

    @Test("an error in answer to Upgrade End Request ends the asking, at once or by the hour")
    func refused() {
        for isByHour in [false, true] {
            var bench = Self.held()
            if isByHour {
                #expect(Self.answer(&bench) == .awaitingOrder)
                #expect(bench.wait() == [OTACommandID.upgradeEndRequest])
            }
            #expect(
                bench.client.defaultResponse(
                    to: OTACommandID.upgradeEndRequest, status: .noImageAvailable, at: bench.now)
                    == .accepted)
            bench.settle()
            guard case .stoppedAsking(ClientBench.image, .noImageAvailable)? = bench.steps.last
            else {
                Issue.record("goes on asking")
                continue
            }
            #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
        }
    }

    @Test("a download that is called off is ended with ABORT, at whatever point")
    func cancelled() throws {
        for pages in [0, 200] as [UInt16] {
            for blocks in 0..<4 {
                var bench = ClientBench { $0.pageSize = pages }
                bench.client.bind(to: ClientBench.server, at: bench.now, after: .zero)
                var isCancelled = bench.client.cancel(at: bench.now)
                #expect(!isCancelled)
                bench.wait()
                _ = bench.client.queryNextImageResponse(
                    QueryNextImageResponse(offering: ClientBench.image, size: 500), at: bench.now)
                bench.settle()
                for _ in 0..<blocks {
                    _ = bench.block()
                    bench.settle()
                }
                isCancelled = bench.client.cancel(at: bench.now)
                #expect(isCancelled)
                #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
                #expect(Hex.string(try #require(bench.lastPayload).bytes) == "95d410010002000000")
                guard case .aborted(ClientBench.image, let offset)? = bench.steps.last else {
                    Issue.record("not aborted")
                    continue
                }
                #expect(offset == UInt32(48 * blocks))
                #expect(bench.client.status == .normal && bench.client.image == nil)
                #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
            }
        }
    }

    @Test("an upgrade of several files ends each but the last with REQUIRE_MORE_IMAGE")
    func parts() throws {
        var bench = ClientBench { $0.furtherImageTypes = [7] }
        bench.begin()
        bench.finish()
        #expect(bench.client.status == .waitForMore)
        let downloaded = { (bench: ClientBench) in
            bench.client.attribute(OTAAttributeID.downloadedFileVersion)?.value
        }
        #expect(downloaded(bench) == 2)
        #expect(
            bench.settle() == [OTACommandID.upgradeEndRequest, OTACommandID.queryNextImageRequest])
        #expect(Hex.string(try #require(bench.lastPayload).bytes).hasPrefix("01d4100700"))
        #expect(bench.client.attribute(OTAAttributeID.imageUpgradeStatus)?.value == 5)
        #expect(bench.client.attribute(OTAAttributeID.fileOffset)?.value == 0xFFFF_FFFF)
        // Not there yet: it asks again after a while.
        _ = bench.client.queryNextImageResponse(
            QueryNextImageResponse(refusing: .noImageAvailable), at: bench.now)
        #expect(bench.client.status == .waitForMore)
        let asked = bench.now
        #expect(bench.wait() == [OTACommandID.queryNextImageRequest])
        #expect(bench.now == asked + .minutes(10))
        // A file of another version is no part of this upgrade.
        var part = ImageIdentity(manufacturer: 0x10D4, imageType: 7, version: 3)
        #expect(
            bench.client.queryNextImageResponse(
                QueryNextImageResponse(offering: part, size: 50), at: bench.now)
                == .nothingOffered(.success))
        bench.wait()
        part.version = 2
        #expect(
            bench.client.queryNextImageResponse(
                QueryNextImageResponse(offering: part, size: 48), at: bench.now) == .accepted)
        bench.settle()
        #expect(downloaded(bench) == 2)
        _ = bench.client.imageBlockResponse(.block(part, offset: 0, count: 48), at: bench.now)
        bench.settle()
        bench.client.finishedChecking(.success, at: bench.now)
        #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
        #expect(Hex.string(try #require(bench.lastPayload).bytes) == "00d410070002000000")
        #expect(bench.client.blocks == 6)
        _ = bench.client.upgradeEndResponse(
            UpgradeEndResponse(image: part, currentTime: 0, upgradeTime: 0), at: bench.now)
        bench.settle()
        guard case .activate? = bench.steps.last else {
            Issue.record("not activated")
            return
        }
    }

    @Test("a device-specific file is asked for first, fetched with the device's address, and done")
    func file() throws {
        var bench = ClientBench { $0.deviceFile = 0xFFC1 }
        bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
        #expect(bench.wait() == [OTACommandID.queryDeviceSpecificFileRequest])
        #expect(
            Hex.string(try #require(bench.lastPayload).bytes)
                == "0700000000000000d410c1ffffffffff0200")
        let file = ImageIdentity(manufacturer: 0x10D4, imageType: 0xFFC1, version: 9)
        #expect(
            bench.client.queryNextImageResponse(
                QueryNextImageResponse(offering: file, size: 60), at: bench.now)
                == .dropped(.otaOutOfState))
        #expect(
            bench.client.deviceSpecificFileResponse(
                QueryNextImageResponse(offering: file, size: 60), at: bench.now) == .accepted)
        bench.settle()
        #expect(bench.client.isFile)
        #expect(try bench.lastRequest().requester == EUI64(7))
        for (offset, count) in [(0, 48), (48, 12)] as [(UInt32, UInt8)] {
            _ = bench.client.imageBlockResponse(
                .block(file, offset: offset, count: count), at: bench.now)
            bench.settle()
        }
        bench.client.finishedChecking(.success, at: bench.now)
        #expect(bench.settle() == [OTACommandID.upgradeEndRequest])
        #expect(
            bench.client.upgradeEndResponse(
                UpgradeEndResponse(image: file, currentTime: 0, upgradeTime: .max), at: bench.now)
                == .accepted)
        #expect(bench.client.status == .normal && bench.client.image == nil)
    }

    @Test("without a file it asks for an upgrade; with an upgrade held the file waits")
    func noFile() {
        var bench = ClientBench { $0.deviceFile = 0xFFC1 }
        bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
        #expect(bench.wait() == [OTACommandID.queryDeviceSpecificFileRequest])
        #expect(
            bench.client.deviceSpecificFileResponse(
                QueryNextImageResponse(refusing: .noImageAvailable), at: bench.now)
                == .nothingOffered(.noImageAvailable))
        #expect(bench.settle() == [OTACommandID.queryNextImageRequest])
        var held = Self.held()
        #expect(Self.answer(&held) == .awaitingOrder)
        held.client.queryFile(0xFFC1, at: held.now)
        #expect(held.wait() == [OTACommandID.upgradeEndRequest])
        held.client.finished(running: 2, at: held.now)
        #expect(held.wait() == [OTACommandID.queryDeviceSpecificFileRequest])
    }

    @Test(
        "a device that only an order activates says 3 while it waits, or 6 as ZCL 8 has it",
        arguments: [false, true])
    func externalEvent(_ reports: Bool) {
        for byOrderOnly in [false, true] {
            var bench = ClientBench {
                $0.activationByOrderOnly = byOrderOnly
                $0.reportsExternalEvent = reports
            }
            bench.begin()
            bench.finish()
            bench.settle()
            #expect(bench.client.attribute(0x0006)?.value == 2)
            _ = Self.answer(&bench)
            #expect(bench.client.attribute(0x0006)?.value == (reports && byOrderOnly ? 6 : 3))
        }
    }

    @Test("every attribute has its type and a true value in every state")
    func attributes() throws {
        let types: [(UInt16, ZCLType)] = [
            (0x0000, .ieeeAddress), (0x0001, .uint32), (0x0002, .uint32), (0x0003, .uint16),
            (0x0004, .uint32), (0x0005, .uint16), (0x0006, .enum8), (0x0007, .uint16),
            (0x0008, .uint16), (0x0009, .uint16), (0x000A, .uint32), (0x000B, .enum8),
            (0x000C, .enum8),
        ]
        /// Server, offset, downloaded version, downloaded stack version, status, period.
        func check(
            _ bench: ClientBench, server: UInt64 = ClientBench.server.rawValue,
            _ changing: [UInt64], _ state: String
        ) throws {
            let values: [UInt64] = [
                server, changing[0], 1, 2, changing[1], changing[2], changing[3], 0x10D4, 1,
                changing[4], 0xCAFE, 0, 1,
            ]
            for ((identifier, type), value) in zip(types, values) {
                let attribute = try #require(bench.client.attribute(identifier))
                #expect(attribute.type == type, "\(identifier) \(state)")
                #expect(attribute.value == value, "\(identifier) \(state)")
            }
            #expect(bench.client.attribute(0x000D) == nil)
            #expect(bench.client.attribute(0xFFFD) == nil)
        }
        let none: UInt64 = 0xFFFF_FFFF
        var bench = ClientBench()
        bench.client.imageStamp = 0xCAFE
        try check(
            bench, server: .max, [none, none, 0xFFFF, 0, 0], "before a server is found")
        bench.begin()
        try check(bench, [0, none, 0xFFFF, 1, 0], "at the start of a download")
        _ = bench.block()
        bench.settle()
        try check(bench, [48, none, 0xFFFF, 1, 0], "in a download")
        _ = bench.client.imageBlockResponse(
            .wait(currentTime: 0, requestTime: 9, minimumBlockPeriod: 500), at: bench.now)
        try check(bench, [48, none, 0xFFFF, 1, 500], "while it waits for data")
        bench.wait()
        while bench.client.isDownloading {
            _ = bench.block()
            if bench.client.isDownloading { bench.wait() }
        }
        bench.settle()
        try check(bench, [200, none, 0xFFFF, 1, 500], "while it checks")
        var bad = bench
        bad.client.finishedChecking(.invalidImage, at: bad.now)
        try check(bad, [200, none, 0xFFFF, 0, 500], "with a bad image")
        bad.settle()
        try check(bad, [none, none, 0xFFFF, 0, 0], "without it")
        bench.client.finishedChecking(.success, stackVersion: 3, at: bench.now)
        try check(bench, [200, 2, 3, 2, 500], "with a good image")
        bench.settle()
        _ = Self.answer(&bench)
        try check(bench, [200, 2, 3, 3, 500], "while it waits to upgrade")
        _ = Self.answer(&bench, 60)
        try check(bench, [200, 2, 3, 4, 500], "while it counts down")
        var restored = ClientBench()
        restored.client.imageStamp = 0xCAFE
        restored.client.restore(
            image: ClientBench.image, size: 200, offset: 200, status: .waitingToUpgrade,
            stackVersion: 3)
        try check(restored, server: .max, [200, 2, 3, 3, 0], "held over a restart")
    }
}
