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
            .activationOrdered, .activationPending, .activated,
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
        #expect(row.updated == morning + 540)
        #expect(row.updatedWall == morningWall + 1.125)
        #expect(row.reported == nil)
        let hops = try store.timeline(of: requestID(1), device: device(1)).rows
        #expect(hops.map(\.status) == [.submitted, .validated] + way)
        #expect(hops.first?.device == nil)
        #expect(hops.first { $0.status == .verified }?.message == [0xDF, 0x01])
        #expect(hops.last?.time == morning + 540)
        #expect(hops.last?.wall == morningWall + 1.125)
        #expect(hops.map(\.number) == hops.map(\.number).sorted())
        // The other one has not moved.
        #expect(try store.timeline(of: requestID(1), device: device(2)).rows.count == 2)
        #expect(try store.target(1, 2)?.status == .validated)
        #expect(try store.request(requestID(1))?.counts == [.activated: 1, .validated: 1])
    }

    @Test(
        "that a user knows of it stands beside what became of a device, and hides no failure",
        // What an answer says its user knows from that.
        arguments: TrackingStatus.allCases.filter {
            $0.isFinal && ![.reported, .refused, .carriedOut].contains($0)
        })
    func reported(end: TrackingStatus) throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 1..<3)
        change.targets[0].status = end
        change.tracks = []
        try store.commit(change)
        try store.tell(
            track(1, 1, .reported, detail: "heard", at: morning + 60), wall: morningWall + 2)
        let row = try #require(try store.target(1, 1))
        #expect(row.status == end)
        #expect(row.detail != "heard")
        #expect(row.updated == morning)
        #expect(row.reported == morning + 60)
        #expect(row.reportedWall == morningWall + 2)
        #expect(
            try store.timeline(of: requestID(1), device: device(1)).rows.map(\.status)
                == [.submitted, .validated, .reported])
        let counts = try store.counts()
        #expect(counts.devices == [end: 1, .validated: 1])
        #expect(counts.reported == [end: 1])
        let request = try #require(try store.request(requestID(1)))
        #expect(request.counts == counts.devices)
        #expect(request.reportedDevices == 1)
        // The other one is under way.
        #expect(request.reported == nil)
        var filter = TrackingFilter()
        for (isReported, number) in [(true, 1), (false, 2)] as [(Bool, UInt64)] {
            filter.isReported = isReported
            #expect(try store.targets(filter).rows.map(\.device) == [device(number)])
            #expect(try store.requests(filter).rows.count == 1)
        }
    }

    @Test("a request has been reported once its user knows what became of all its devices")
    func whole() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        func reported() throws -> UTCTime? { try store.request(requestID(1))?.reported }
        try store.commit(submission(1, devices: 1..<4, refused: [3]))
        try store.tell(track(1, 1, .activated), track(1, 2, .rejected))
        try store.tell(track(1, 1, .reported, at: morning + 5))
        #expect(try reported() == nil)
        try store.tell(track(1, 2, .reported, at: morning + 9))
        #expect(try reported() == morning + 9)
        // What its answer has listed its user knows already.
        #expect(try store.counts().reported == [.activated: 1, .rejected: 1, .refused: 1])
        // Another attempt, of which its user knows nothing yet.
        try store.tell(track(1, 2, .downloading, percent: 0))
        #expect(try reported() == nil)
        #expect(try store.target(1, 2)?.reported == nil)
        #expect(try store.counts().reported == [.activated: 1, .refused: 1])
    }

    @Test("what a notice tells of another request's device is known of that as well")
    func elsewhere() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        func told(
            _ counter: UInt64, _ number: UInt64?, _ status: TrackingStatus, by notice: UInt64
        ) -> TrackingRecord {
            var record = track(counter, number, status)
            record.notice = notice
            return record
        }
        try store.commit(submission(1, devices: 1..<4))
        try store.commit(submission(2, devices: 1..<2, variant: "11.3"))
        try store.commit(submission(3, devices: 1..<2))
        try store.tell(told(3, 1, .activated, by: 6), told(2, 1, .activationPending, by: 6))
        var later = told(2, 1, .reported, by: 6)
        later.time = morning + 9
        try store.tell(later)
        #expect(try store.target(3, 1)?.reported == morning + 9)
        #expect(try store.request(requestID(3))?.reported == morning + 9)
        // The answer to the activation says what became of the update.
        try store.tell(told(2, 1, .activated, by: 7), told(1, 1, .activated, by: 7))
        // The two others are behind one hub.
        try store.tell(told(1, 2, .deliveryFailed, by: 8), told(1, 3, .deliveryFailed, by: 8))
        try store.tell(told(2, 1, .reported, by: 7))
        #expect(try store.target(2, 1)?.reported == morning)
        #expect(try store.target(1, 1)?.reported == morning)
        #expect(try store.request(requestID(1))?.reported == nil)
        #expect(try store.target(1, 2)?.reported == nil)
        try store.tell(told(1, nil, .reported, by: 8))
        #expect(try store.request(requestID(1))?.reported == morning)
        func hops(_ number: UInt64) throws -> [TrackingStatus] {
            try store.timeline(of: requestID(1), device: device(number)).rows.map(\.status)
        }
        // The notice about the others is none of the first one's.
        #expect(try hops(1).filter { $0 == .reported }.count == 1)
        #expect(try hops(2).last == .reported)
        #expect(try hops(3).last == .reported)
    }

    @Test("the acknowledgement of an earlier message says nothing of what has come since")
    func earlier() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        try store.commit(submission(1, devices: 1..<2))
        func told(_ status: TrackingStatus, by notice: UInt64) -> TrackingRecord {
            var record = track(1, 1, status)
            record.notice = notice
            return record
        }
        try store.tell(told(.deliveredToHub, by: 1), told(.activationFailed, by: 2))
        try store.tell(told(.reported, by: 1))
        #expect(try store.target(1, 1)?.reported == nil)
        try store.tell(told(.reported, by: 2))
        #expect(try store.target(1, 1)?.reported == morning)
        #expect(try store.target(1, 1)?.status == .activationFailed)
    }

    @Test(
        "late word is kept and takes nothing back",
        arguments: [
            (.verified, .offered), (.activated, .downloading), (.downloading, .atCSP),
            (.deliveredToHub, .delivering), (.transferFailed, .offered), (.refused, .delivering),
            (.activated, .activationPending), (.activated, .activationFailed),
            (.activated, .notActivated), (.notActivated, .verified), (.answered, .commandSent),
            (.offered, .reported), (.atCSP, .refused),
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
            try store.timeline(of: requestID(1), device: device(1)).rows.map(\.status)
                == [.submitted, .validated, late])
        #expect(try store.counts().devices == [now: 1])
    }

    @Test(
        "another attempt after a failure begins anew",
        arguments: [
            (.deliveryFailed, .delivering), (.deliveryFailed, .deliveredToHub),
            (.transferFailed, .downloading), (.rejected, .downloading),
            (.activationFailed, .activationOrdered), (.notActivated, .activationOrdered),
            (.activationFailed, .activated), (.notActivated, .activated),
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
        #expect(try status() == .activated)
        #expect(try store.counts().reported == [.activated: 1, .deliveryFailed: 1, .refused: 1])
        #expect(try store.request(requestID(1))?.reported == morning)
    }

    @Test(
        "a request is done, failed, refused or in progress as its answer and its devices are",
        arguments: [
            ([.activated, .answered], .done), ([.activated, .offered], .inProgress),
            ([.activated, .refused], .doneInPart), ([.activated, .rejected], .doneInPart),
            ([.transferFailed, .refused], .failed), ([.refused, .refused], .refused),
            ([.verified], .inProgress), ([], .done),
        ] as [([TrackingStatus], ProcessingStatus)])
    func processing(devices: [TrackingStatus], whole: ProcessingStatus) throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 0..<UInt64(devices.count))
        for (index, status) in devices.enumerated() { change.targets[index].status = status }
        change.tracks = []
        try store.commit(change)
        var row = try #require(try store.request(requestID(1)))
        #expect(row.processing == whole)
        #expect(
            row.counts.outcomes == Dictionary(grouping: devices, by: \.outcome).mapValues(\.count))
        row.code = ResponseCode(rawValue: "E49")
        #expect(row.processing == .refused)
    }

    @Test("a request without devices stands as was said of it")
    func commands() throws {
        let (shelf, store) = try store()
        defer { _ = shelf }
        var change = submission(1, devices: 0..<0, variant: "8.2")
        change.tracks = []
        try store.commit(change)
        #expect(try store.request(requestID(1))?.status == .validated)
        try store.tell(track(1, nil, .refused, detail: "no such user"))
        #expect(try store.request(requestID(1))?.status == .refused)
        #expect(try store.request(requestID(1))?.processing == .refused)
        try store.tell(track(1, nil, .reported))
        #expect(try store.request(requestID(1))?.status == .refused)
        #expect(try store.request(requestID(1))?.reported == morning)
        #expect(try store.counts().requests == [.refused: 1])
        #expect(try store.counts().devices == [:])
    }

    @Test("a second submission under an id completes the first one, or refuses what waits")
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
        #expect(row.counts == [.refused: 2])
        #expect(
            try store.timeline(of: requestID(1), device: nil).rows.map(\.status)
                == [.submitted, .validated, .refused])
        again.submitted[0].code = .acknowledged
        again.targets = submission(1, devices: 1..<5).targets
        try store.commit(again)
        row = try #require(try store.request(requestID(1)))
        #expect(row.code == .acknowledged)
        #expect(row.accepted == 4)
        // Two of them were there already.
        #expect(row.counts == [.refused: 2, .validated: 2])
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
