import DCC
import Foundation
import TestSupport
import Testing
import Tracking
import Wire

@Suite("What becomes of a request's devices")
struct ProgressStories {
    private func store() throws -> (Shelf, TrackingStore) {
        let shelf = try Shelf()
        return (shelf, try shelf.open())
    }

    @Test("a device goes its way, each hop with its message and both times")
    func way() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        try store.commit(submission(1, devices: 1..<3))
        let way: [TrackingStatus] = [
            .atCSP, .delivering, .deliveredToHub, .offered, .downloading, .transferred, .verified,
            .activationOrdered, .activationPending, .activated, .reported,
        ]
        for (step, status) in way.enumerated() {
            try store.tell(
                track(
                    1, 1, status, detail: "step \(step)", at: morning + 60 * step,
                    message: status == .verified ? [0xDF, 0x01] : nil),
                wall: morningWall + Double(step) / 8)
            #expect(try store.target(1, 1)?.status == status)
        }
        let row = try #require(try store.target(1, 1))
        #expect(row.outcome == .activated)
        #expect(row.updated == morning + 600)
        #expect(row.updatedWall == morningWall + 1.25)
        let hops = try store.timeline(of: requestID(1), device: device(1)).rows
        #expect(hops.map(\.status) == [.validated] + way)
        #expect(hops.first?.device == nil)
        #expect(hops.first { $0.status == .verified }?.message == [0xDF, 0x01])
        #expect(hops.last?.time == morning + 600)
        #expect(hops.last?.wall == morningWall + 1.25)
        #expect(hops.map(\.number) == hops.map(\.number).sorted())
        // The other one has not moved.
        #expect(try store.timeline(of: requestID(1), device: device(2)).rows.count == 1)
        #expect(try store.target(1, 2)?.status == .validated)
        #expect(try store.request(requestID(1))?.counts == [.reported: 1, .validated: 1])
    }

    @Test(
        "late word is kept and takes nothing back",
        arguments: [
            (.verified, .offered), (.activated, .downloading), (.downloading, .atCSP),
            (.deliveredToHub, .delivering), (.transferFailed, .offered), (.refused, .delivering),
            (.activated, .activationPending), (.reported, .verified), (.answered, .commandSent),
            (.offered, .reported), (.validated, .refused),
        ] as [(TrackingStatus, TrackingStatus)])
    func late(now: TrackingStatus, late: TrackingStatus) throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 1..<2)
        change.targets[0].status = now
        change.tracks = []
        try store.commit(change)
        try store.tell(track(1, 1, late, percent: 3, detail: "late"))
        let row = try #require(try store.target(1, 1))
        #expect(row.status == now)
        #expect(row.percent == nil)
        #expect(row.detail != "late")
        #expect(
            try store.timeline(of: requestID(1), device: device(1)).rows.map(\.status) == [late])
        #expect(try store.counts().devices == [now: 1])
    }

    @Test(
        "another attempt after a failure begins anew",
        arguments: [
            (.deliveryFailed, .delivering), (.deliveryFailed, .deliveredToHub),
            (.transferFailed, .downloading), (.rejected, .downloading),
            (.activationFailed, .activationOrdered), (.reported, .activationOrdered),
            (.unanswered, .commandSent), (.unanswered, .answered),
        ] as [(TrackingStatus, TrackingStatus)])
    func again(failed: TrackingStatus, again: TrackingStatus) throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 1..<2)
        change.targets[0].status = failed
        try store.commit(change)
        try store.tell(track(1, 1, again))
        #expect(try store.target(1, 1)?.status == again)
        #expect(try store.counts().devices == [again: 1])
    }

    @Test("of a download every fifth percent is a hop, and the device has the last one")
    func percents() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        try store.commit(submission(1, devices: 1..<2))
        for percent in 0...100 {
            try store.tell(track(1, 1, .downloading, percent: percent))
            #expect(try store.target(1, 1)?.percent == percent)
        }
        let hops = try store.timeline(of: requestID(1), device: device(1)).rows
            .filter { $0.status == .downloading }
        #expect(hops.map(\.percent) == Array(stride(from: 0, through: 100, by: 5)))
        try store.tell(track(1, 1, .transferred))
        #expect(try store.target(1, 1)?.percent == 100)
    }

    @Test("a request stands where its slowest device is, and at the best end when all are done")
    func requests() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        func status() throws -> TrackingStatus? { try store.request(requestID(1))?.status }
        try store.commit(submission(1, devices: 1..<4, refused: [3]))
        #expect(try status() == .validated)
        try store.tell(track(1, nil, .atCSP))
        #expect(try status() == .atCSP)
        #expect(try store.target(1, 1)?.status == .atCSP)
        #expect(try store.target(1, 3)?.status == .refused)
        try store.tell(track(1, 1, .verified))
        #expect(try status() == .atCSP)
        try store.tell(track(1, 2, .deliveryFailed))
        #expect(try status() == .verified)
        try store.tell(track(1, 1, .activated))
        #expect(try status() == .activated)
        #expect(try store.counts().requests == [.activated: 1])
        try store.tell(track(1, nil, .reported))
        #expect(try status() == .reported)
        #expect(try store.target(1, 1)?.outcome == .activated)
        #expect(try store.target(1, 2)?.outcome == .deliveryFailed)
    }

    @Test("a request without devices stands as was said of it")
    func commands() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 0..<0, variant: "8.2")
        change.tracks = []
        try store.commit(change)
        #expect(try store.request(requestID(1))?.status == .submitted)
        try store.tell(track(1, nil, .refused, detail: "no such user"))
        #expect(try store.request(requestID(1))?.status == .refused)
        #expect(try store.counts().requests == [.refused: 1])
        #expect(try store.counts().devices == [:])
    }

    @Test("a second submission under an id completes the first one, unless it is an error")
    func twice() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        try store.commit(submission(1, devices: 1..<3))
        var again = submission(1, devices: 1..<5)
        again.submitted[0].code = ResponseCode(rawValue: "E49")
        again.submitted[0].accepted = 4
        again.targets = []
        again.tracks = []
        try store.commit(again)
        var row = try #require(try store.request(requestID(1)))
        #expect(row.code == .success)
        #expect(row.accepted == 2)
        again.submitted[0].code = .acknowledged
        again.targets = submission(1, devices: 1..<5).targets
        try store.commit(again)
        row = try #require(try store.request(requestID(1)))
        #expect(row.code == .acknowledged)
        #expect(row.accepted == 4)
        // Two of them were there already.
        #expect(row.counts == [.validated: 4])
        #expect(try store.requests().rows.count == 1)
    }

    @Test("what belongs to no request, and what comes of one that is not known, is kept too")
    func strays() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        try store.tell(
            TrackingRecord(
                request: nil, device: device(7), status: .activated, detail: "by itself",
                time: morning))
        #expect(try store.timeline(of: nil, device: device(7)).rows.map(\.detail) == ["by itself"])
        #expect(try store.requests().rows.isEmpty)
        try store.tell(track(5, 7, .offered, detail: "out of nowhere"))
        #expect(try store.target(5, 7)?.detail == "out of nowhere")
        #expect(try store.request(requestID(5))?.user == supplier)
        #expect(try store.timeline(of: requestID(6), device: device(7)).rows.isEmpty)
    }

    @Test("notices go out in order, by user, until they are received")
    func notices() throws {
        let (shelf, store) = try store()
        var change = StoreChange(wall: morningWall)
        change.notices = (1...6).map { number in
            StoredNotice(
                number: number, user: number % 2 == 0 ? otherSupplier : supplier,
                bytes: [UInt8(number)], summary: "notice \(number)", request: requestID(1),
                device: device(number), time: morning, wall: morningWall)
        }
        try store.commit(change)
        func numbers(_ user: EUI64?) throws -> [UInt64] {
            try store.pendingNotices(for: user, limit: 10).map(\.number)
        }
        #expect(try numbers(nil) == [1, 2, 3, 4, 5, 6])
        #expect(try numbers(otherSupplier) == [2, 4, 6])
        try store.mark(notice: 2, .received, attempts: 1, wall: morningWall + 1)
        try store.mark(notice: 4, .kept, attempts: 9, wall: morningWall + 2)
        #expect(try numbers(otherSupplier) == [4, 6])
        #expect(try store.pendingNotices(limit: 2, after: 3).map(\.number) == [4, 5])
        #expect(try store.pendingNotices(limit: 9, states: [.kept]).map(\.attempts) == [9])
        try store.close()

        let again = try shelf.open()
        let kept = try #require(try again.notice(4))
        #expect(kept.state == .kept)
        #expect(kept.tried == morningWall + 2)
        #expect(kept.bytes == [4])
        var filter = NoticeFilter()
        filter.user = otherSupplier
        let first = try again.notices(filter, limit: 2)
        #expect(first.rows.map(\.number) == [6, 4])
        let rest = try again.notices(filter, after: first.next, limit: 2)
        #expect(rest.rows.map(\.number) == [2])
        #expect(rest.next == nil)
        filter.device = device(2)
        filter.states = [.received]
        #expect(try again.notices(filter).rows.map(\.number) == [2])
        // A number is given once, whatever is said under it.
        let error = #expect(throws: StoreError.self) { try again.commit(change) }
        #expect(error?.kind == .failed)
    }
}
