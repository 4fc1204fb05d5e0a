import Testing
import Wire
import Zigbee

@Suite("The OTA client's pages")
struct OTAPageTests {
    /// A client that has asked for its first page of an image of 500 bytes.
    static func bench(
        size: UInt32 = 500, _ change: (inout OTAClientSettings) -> Void = { _ in }
    ) -> ClientBench {
        var bench = ClientBench {
            $0.pageSize = 200
            change(&$0)
        }
        bench.client.bind(to: ClientBench.server, at: bench.now, after: .seconds(1))
        bench.wait()
        _ = bench.client.queryNextImageResponse(
            QueryNextImageResponse(offering: ClientBench.image, size: size), at: bench.now)
        #expect(bench.settle() == [OTACommandID.imagePageRequest])
        return bench
    }

    static func page(_ bench: ClientBench) throws -> ImagePageRequest {
        let payload = try #require(bench.lastPayload)
        var reader = ByteReader(payload.span)
        return try ImagePageRequest(parsing: &reader)
    }

    static func give(
        _ bench: inout ClientBench, _ offset: UInt32, _ count: UInt8
    ) -> OTAClient.Verdict {
        bench.now = bench.now + .milliseconds(300)
        return bench.client.imageBlockResponse(
            .block(ClientBench.image, offset: offset, count: count), at: bench.now)
    }

    @Test("a page is one request and a run of blocks; the last page is what is left")
    func whole() throws {
        var bench = Self.bench()
        var requests = 1
        for start in [0, 200, 400] as [UInt32] {
            let page = try Self.page(bench)
            let end = min(start + 200, 500)
            #expect(page.offset == start && page.pageSize == UInt16(end - start))
            #expect(page.maximumDataSize == 48 && page.spacing == 300)
            for offset in stride(from: start, to: end, by: 48) {
                let count = Int(min(48, end - offset))
                #expect(
                    Self.give(&bench, offset, UInt8(count)) == .store(offset: offset, count: count))
                requests += bench.settle().count
            }
        }
        #expect(requests == 3)
        #expect(bench.client.offset == 500 && !bench.client.isDownloading)
        #expect(bench.client.blocks == 13)
    }

    @Test("what is missing of a page when its last block has come is asked for block by block")
    func gaps() throws {
        var bench = Self.bench()
        _ = Self.give(&bench, 0, 48)
        _ = Self.give(&bench, 96, 48)
        #expect(Self.give(&bench, 96, 48) == .dropped(.otaWrongOffset))
        #expect(Self.give(&bench, 97, 48) == .dropped(.otaWrongOffset))
        #expect(Self.give(&bench, 200, 48) == .dropped(.otaWrongOffset))
        #expect(Self.give(&bench, 144, 20) == .dropped(.otaWrongOffset))
        #expect(bench.client.offset == 48)
        #expect(bench.settle() == [])
        _ = Self.give(&bench, 192, 8)
        #expect(bench.settle() == [OTACommandID.imageBlockRequest])
        #expect(try bench.lastRequest().offset == 48)
        #expect(Self.give(&bench, 48, 48) == .store(offset: 48, count: 48))
        // Over the block that is here already.
        #expect(bench.settle() == [OTACommandID.imageBlockRequest])
        #expect(try bench.lastRequest().offset == 144)
        _ = Self.give(&bench, 144, 48)
        #expect(bench.settle() == [OTACommandID.imagePageRequest])
        #expect(try Self.page(bench).offset == 200)
    }

    @Test("a page that breaks off is filled from its first gap on")
    func brokenOff() throws {
        var bench = Self.bench()
        _ = Self.give(&bench, 0, 48)
        let last = bench.now
        #expect(bench.wait() == [OTACommandID.imageBlockRequest])
        #expect(bench.now == last + .milliseconds(5_300))
        #expect(try bench.lastRequest().offset == 48)
    }

    @Test("a server that has no pages, or whose pages never come, is asked for blocks")
    func fallback() throws {
        for isRefused in [true, false] {
            var bench = Self.bench()
            if isRefused {
                #expect(
                    bench.client.defaultResponse(
                        to: OTACommandID.imagePageRequest, status: .unsupportedClusterCommand,
                        at: bench.now) == .accepted)
                #expect(bench.settle() == [OTACommandID.imageBlockRequest])
            } else {
                #expect(bench.wait() == [OTACommandID.imagePageRequest])
                #expect(bench.wait() == [OTACommandID.imagePageRequest])
                #expect(bench.wait() == [OTACommandID.imageBlockRequest])
            }
            while bench.client.isDownloading {
                #expect(try bench.lastRequest().offset == bench.client.offset)
                _ = bench.block()
                #expect(!bench.settle().contains(OTACommandID.imagePageRequest))
            }
            #expect(bench.client.offset == 500)
        }
    }

    @Test("ABORT, no image, and WAIT_FOR_DATA count for a page as for a block")
    func refused() throws {
        for status in [ZCLStatus.abort, .noImageAvailable] {
            var bench = Self.bench()
            _ = bench.client.defaultResponse(
                to: OTACommandID.imagePageRequest, status: status, at: bench.now)
            bench.settle()
            #expect(!bench.client.isDownloading && bench.client.status == .normal)
        }
        var bench = Self.bench()
        _ = Self.give(&bench, 0, 48)
        let told = bench.now
        _ = bench.client.imageBlockResponse(
            .wait(currentTime: 0, requestTime: 20, minimumBlockPeriod: 500), at: bench.now)
        #expect(bench.wait() == [OTACommandID.imagePageRequest])
        #expect(bench.now == told + .seconds(20))
        #expect(try Self.page(bench).offset == 48)
        #expect(try Self.page(bench).spacing == 500)
    }

    @Test("blocks of a page in any order, lost or doubled: every byte comes once and none is left")
    func anyOrder() throws {
        for seed in 0..<300 as Range<UInt64> {
            var stream = SeededStream(Seed(seed))
            var bench = Self.bench(size: UInt32(1 + stream.below(2_000))) {
                $0.blockSize = UInt8(1 + stream.below(56))
                $0.pageSize = UInt16(1 + stream.below(3_000))
            }
            var stored = [Int](repeating: 0, count: Int(bench.client.size))
            var turns = 0
            while bench.client.isDownloading {
                turns += 1
                try #require(turns < 20_000)
                var offered: [(UInt32, UInt8)] = []
                if bench.client.isPaging {
                    let page = try Self.page(bench)
                    let end = page.offset + UInt32(page.pageSize)
                    for offset in stride(
                        from: page.offset, to: end, by: Int(page.maximumDataSize))
                    where stream.below(4) > 0 {
                        let count = min(UInt32(page.maximumDataSize), end - offset)
                        offered.insert(
                            (offset, UInt8(count)), at: Int(stream.below(UInt64(offered.count + 1)))
                        )
                    }
                } else {
                    let request = try bench.lastRequest()
                    if stream.below(4) > 0 {
                        offered.append((request.offset, request.maximumDataSize))
                    }
                }
                for (offset, count) in offered {
                    let verdict = bench.client.imageBlockResponse(
                        .block(ClientBench.image, offset: offset, count: count), at: bench.now)
                    if case .store(let at, let count) = verdict {
                        for byte in Int(at)..<Int(at) + count { stored[byte] += 1 }
                    }
                    bench.settle()
                }
                if bench.client.isDownloading { bench.wait() }
            }
            if bench.client.offset == bench.client.size, bench.client.size > 0 {
                #expect(stored.allSatisfy { $0 == 1 })
            }
        }
    }
}
