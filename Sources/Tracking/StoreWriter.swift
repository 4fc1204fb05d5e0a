import DCC
import Foundation
internal import GRDB
import Wire

/// Carries out a change within a transaction.
final class StoreWriter {
    let database: Database
    /// Milliseconds since 1970.
    let wall: Int64
    /// The requests that the transaction has touched.
    private var requests: [RequestID: OpenRequest] = [:]
    private var tally = TallyChanges()
    /// Run for each device of a request.
    private var targetInsertion: Statement?

    init(_ database: Database, wall: Double) {
        self.database = database
        self.wall = milliseconds(wall)
    }

    func apply(_ change: StoreChange) throws {
        try write(change.records)
        for (key, bytes) in change.images {
            try execute(
                "INSERT INTO image VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
                key, Data(bytes))
        }
        for key in change.removedImages { try execute("DELETE FROM image WHERE key = ?", key) }
        for page in change.flash {
            try execute(
                """
                INSERT INTO flash VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET bytes = excluded.bytes
                """, page.home, page.member, page.page, Data(page.bytes))
        }
        for request in change.submitted { try insert(request) }
        for target in change.targets { try insert(target) }
        for track in change.tracks { try apply(track) }
        for notice in change.notices { try insert(notice) }
        for mark in change.marks { try apply(mark) }
        try execute(
            """
            INSERT INTO world VALUES (1, ?, ?) ON CONFLICT DO UPDATE
            SET clock = coalesce(excluded.clock, clock), wall = excluded.wall
            """, change.clock.map { Int64($0.secondsSince2000) }, wall)
        try finish()
    }

    /// Runs a statement that is kept prepared.
    private func execute(_ sql: String, _ arguments: (any DatabaseValueConvertible)?...) throws {
        try database.cachedStatement(sql: sql).execute(arguments: StatementArguments(arguments))
    }

    private func write(_ changes: [StoreChange.RecordChange]) throws {
        let encoder = DCCRecord.encoder
        for change in changes {
            switch change {
            case .save(let record):
                let key = record.key
                try execute(
                    """
                    INSERT INTO state VALUES (?, ?, ?)
                    ON CONFLICT DO UPDATE SET json = excluded.json
                    """, key.kind.rawValue, key.name, try record.json(encoder))
            case .remove(let key):
                try execute(
                    "DELETE FROM state WHERE kind = ? AND name = ?", key.kind.rawValue, key.name)
            }
        }
    }

    private func insert(_ notice: StoredNotice) throws {
        try execute(
            "INSERT INTO notice VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            Int64(bitPattern: notice.number), notice.user.key, Data(notice.bytes), notice.summary,
            notice.request?.description, notice.device?.key, notice.state.rawValue, notice.attempts,
            Int64(notice.time.secondsSince2000), milliseconds(notice.wall),
            notice.tried.map { milliseconds($0) })
    }
}

extension StoreWriter {
    func apply(_ mark: NoticeMark) throws {
        try execute(
            "UPDATE notice SET state = ?, attempts = ?, tried = ? WHERE number = ?",
            mark.state.rawValue, mark.attempts, wall, Int64(bitPattern: mark.number))
    }
}

// MARK: Requests and devices

/// A request that a transaction works on.
private final class OpenRequest {
    var number: Int64
    var user: Int64
    var time: Int64
    var wall: Int64
    /// Of the request itself; its status is that of `shown`.
    var key: CountKey
    /// What was said of the request itself.
    var said: TrackingStatus
    /// As in its row.
    var shown: TrackingStatus
    /// How many devices stand how, and how that differs from what is written.
    var standing: [CountKey: Int64] = [:]
    var changed: [CountKey: Int64] = [:]
    /// Where the next device goes.
    var position: Int64 = 0
    /// Virtual, of the last that was heard; nil if nothing was in this transaction.
    var heard: Int64?

    init(
        number: Int64, user: Int64, time: Int64, wall: Int64, key: CountKey, said: TrackingStatus
    ) {
        self.number = number
        self.user = user
        self.time = time
        self.wall = wall
        self.key = key
        self.said = said
        shown = key.status
    }

    /// What `count` was last told, in one go: the devices of a request are much alike.
    private var run: (key: CountKey, count: Int64)?

    func count(_ key: CountKey, _ count: Int64) {
        if let last = run, last.key == key {
            run?.count = last.count + count
            return
        }
        settle()
        run = (key, count)
    }

    /// Brings `standing` and `changed` up to date.
    func settle() {
        guard let (key, count) = run else { return }
        standing[key, default: 0] += count
        changed[key, default: 0] += count
        run = nil
    }

    var counts: [TrackingStatus: Int] {
        var counts: [TrackingStatus: Int] = [:]
        for (key, count) in standing { counts[key.status, default: 0] += Int(count) }
        return counts
    }
}

extension StoreWriter {
    private func insert(_ request: SubmittedRequest) throws {
        if let known = try open(request.id) {
            known.heard = Int64(request.received.secondsSince2000)
            guard !request.code.isError else { return }
            try execute(
                """
                UPDATE request SET code = ?, accepted = max(accepted, ?), refused = max(refused, ?)
                WHERE number = ?
                """, request.code.rawValue, request.accepted, request.refused, known.number)
            return
        }
        try make(request, status: .submitted)
    }

    private func make(_ request: SubmittedRequest, status: TrackingStatus) throws {
        let time = Int64(request.received.secondsSince2000)
        let received = milliseconds(request.receivedWall)
        let key = CountKey(
            type: request.type?.rawValue ?? "", manufacturer: request.manufacturer ?? "",
            version: request.fileVersion.map { Int64($0) } ?? -1, status: status)
        try execute(
            """
            INSERT INTO request VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, request.id.description, request.user.key, request.variant, request.version,
            key.version, request.image, key.manufacturer, request.model, key.type,
            request.code.rawValue, request.accepted, request.refused, status.rawValue,
            status.rawValue, time, received, time, wall)
        tally.add(1, .requests, key, user: request.user.key, time: time, wall: received)
        requests[request.id] = OpenRequest(
            number: database.lastInsertedRowID, user: request.user.key, time: time, wall: received,
            key: key, said: status)
    }

    /// The request as it stands in this transaction; nil if it is not known.
    private func open(_ id: RequestID) throws -> OpenRequest? {
        if let request = requests[id] { return request }
        let name = "request '\(id)'"
        let statement = try database.cachedStatement(
            sql: """
                SELECT number, user, time, wall, type, manufacturer, fileVersion, said, status
                FROM request WHERE id = ?
                """)
        guard let row = try Row.fetchOne(statement, arguments: [id.description]) else {
            return nil
        }
        var cells = Cells(row, name)
        let (number, user) = (try cells.integer(), try cells.integer())
        let (time, wall) = (try cells.integer(), try cells.integer())
        let (type, manufacturer) = (try cells.text(), try cells.text())
        let version = try cells.integer()
        let (said, shown): (TrackingStatus, TrackingStatus) = (try cells.word(), try cells.word())
        let request = OpenRequest(
            number: number, user: user, time: time, wall: wall,
            key: CountKey(
                type: type, manufacturer: manufacturer, version: version, status: shown),
            said: said)
        let standing = try database.cachedStatement(
            sql: """
                SELECT type, manufacturer, version, status, count FROM standing WHERE request = ?
                """)
        for row in try Row.fetchAll(standing, arguments: [number]) {
            var cells = Cells(row, "the counts of \(name)")
            let key = CountKey(
                type: try cells.text(), manufacturer: try cells.text(),
                version: try cells.integer(), status: try cells.word())
            request.standing[key] = Int64(try cells.count())
        }
        let last = try database.cachedStatement(
            sql: "SELECT max(position) FROM target WHERE request = ?")
        if let row = try Row.fetchOne(last, arguments: [number]) {
            var cells = Cells(row, "the last device of \(name)")
            request.position = try cells.optionalCount().map { Int64($0) + 1 } ?? 0
        }
        requests[id] = request
        return request
    }

    private func insert(_ target: SubmittedTarget) throws {
        try insert(target, into: try opened(target.request, at: target.time))
    }

    /// The request, made of the little that is known if it is not there.
    private func opened(_ id: RequestID, at time: UTCTime) throws -> OpenRequest {
        if let request = try open(id) { return request }
        try make(
            SubmittedRequest(
                id: id, user: id.originator, variant: "", code: ResponseCode(rawValue: ""),
                received: time, receivedWall: Double(wall) / 1000), status: .submitted)
        guard let request = requests[id] else { throw BadRow(detail: "request '\(id)'") }
        return request
    }

    private func insertTarget() throws -> Statement {
        if let targetInsertion { return targetInsertion }
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO target VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO NOTHING
                """)
        targetInsertion = statement
        return statement
    }

    /// Nothing happens if the request has the device already.
    private func insert(_ target: SubmittedTarget, into request: OpenRequest) throws {
        let key = CountKey(
            type: target.type?.rawValue ?? "", manufacturer: target.manufacturer ?? "",
            version: target.toVersion.map { Int64($0) } ?? -1, status: target.status)
        let time = Int64(target.time.secondsSince2000)
        let status = key.status.rawValue
        try insertTarget().execute(arguments: [
            request.number, request.position, target.device.key, target.hub?.key, key.type,
            key.manufacturer, target.model, target.fromVersion.map { Int64($0) }, key.version,
            status, status, nil, target.reason ?? "", time, wall,
        ])
        guard database.changesCount > 0 else { return }
        request.position += 1
        request.count(key, 1)
    }

    /// At the end of the transaction: counts, and where requests stand.
    private func finish() throws {
        for request in requests.values {
            request.settle()
            let (user, time) = (request.user, request.time)
            for (key, count) in request.changed where count != 0 {
                tally.add(count, .devices, key, user: user, time: time, wall: request.wall)
                try execute(
                    """
                    INSERT INTO standing VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET count = count + excluded.count
                    """, request.number, key.type, key.manufacturer, key.version,
                    key.status.rawValue, count)
                guard count < 0 else { continue }
                try execute(
                    """
                    DELETE FROM standing WHERE request = ? AND type = ? AND manufacturer = ?
                    AND version = ? AND status = ? AND count = 0
                    """, request.number, key.type, key.manufacturer, key.version,
                    key.status.rawValue)
            }
            let status = TrackingStatus.ofRequest(request.counts) ?? request.said
            guard status != request.shown || request.heard != nil else { continue }
            if status != request.shown {
                tally.add(-1, .requests, request.key, user: user, time: time, wall: request.wall)
                request.key.status = status
                tally.add(1, .requests, request.key, user: user, time: time, wall: request.wall)
            }
            try execute(
                """
                UPDATE request SET said = ?, status = ?, updated = coalesce(?, updated),
                updatedWall = ? WHERE number = ?
                """, request.said.rawValue, status.rawValue, request.heard, wall, request.number)
        }
        requests = [:]
        try tally.write(to: database)
    }
}

// MARK: Hops

extension StoreWriter {
    /// Downloads are kept in steps of so many percent.
    private static let step = 5

    private func apply(_ track: TrackingRecord) throws {
        guard let id = track.request else { return try insert(track, request: nil) }
        let request = try opened(id, at: track.time)
        request.heard = Int64(track.time.secondsSince2000)
        if let device = track.device {
            if try advance(device, of: request, id, by: track) {
                try insert(track, request: request.number)
            }
            return
        }
        if track.status.follows(request.said) { request.said = track.status }
        try advanceAll(of: request, by: track)
        try insert(track, request: request.number)
    }

    private func insert(_ track: TrackingRecord, request: Int64?) throws {
        try execute(
            "INSERT INTO hop VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", request, track.device?.key,
            track.status.rawValue, track.percent, track.detail, track.message.map { Data($0) },
            track.notice.map { Int64(bitPattern: $0) }, Int64(track.time.secondsSince2000), wall)
    }

    /// Whether it is a hop of its own, which a small step of a download is not.
    private func advance(
        _ device: EUI64, of request: OpenRequest, _ id: RequestID, by track: TrackingRecord
    ) throws -> Bool {
        let find = try database.cachedStatement(
            sql: """
                SELECT position, type, manufacturer, version, status, outcome, percent FROM target
                WHERE device = ? AND request = ?
                """)
        guard let row = try Row.fetchOne(find, arguments: [device.key, request.number]) else {
            try insert(
                SubmittedTarget(
                    request: id, device: device, status: track.status, reason: track.detail,
                    time: track.time), into: request)
            return true
        }
        var cells = Cells(row, "device \(device) of request '\(id)'")
        let position = try cells.integer()
        var key = CountKey(
            type: try cells.text(), manufacturer: try cells.text(), version: try cells.integer(),
            status: try cells.word())
        let outcome: TrackingStatus = try cells.word()
        let percent = try cells.optionalInteger()
        guard track.status.follows(key.status) else { return true }
        let isStep =
            track.status != .downloading || key.status != .downloading || track.message != nil
            || track.notice != nil
            || (track.percent ?? 0) / Self.step != (percent ?? 0) / Int64(Self.step)
        if key.status != track.status {
            request.count(key, -1)
            key.status = track.status
            request.count(key, 1)
        }
        try execute(
            """
            UPDATE target SET status = ?, outcome = ?, percent = coalesce(?, percent), detail = ?,
            updated = ?, updatedWall = ? WHERE request = ? AND position = ?
            """, track.status.rawValue,
            (track.status == .reported ? outcome : track.status).rawValue,
            track.percent ?? (track.status == .downloading ? 0 : nil), track.detail,
            Int64(track.time.secondsSince2000), wall, request.number, position)
        return isStep
    }

    /// What is said of a request is said of all its devices that were let in.
    private func advanceAll(of request: OpenRequest, by track: TrackingRecord) throws {
        request.settle()
        let statuses = Set(request.standing.filter { $0.value > 0 }.map(\.key.status))
        for old in statuses where old != track.status && track.status.follows(old) {
            try execute(
                """
                UPDATE target SET status = ?,
                outcome = CASE WHEN ? = 'reported' THEN outcome ELSE ? END, detail = ?,
                updated = ?, updatedWall = ? WHERE request = ? AND status = ?
                """, track.status.rawValue, track.status.rawValue, track.status.rawValue,
                track.detail, Int64(track.time.secondsSince2000), wall, request.number,
                old.rawValue)
            request.settle()
            let moved = request.standing.filter { $0.key.status == old && $0.value > 0 }
            for (key, count) in moved {
                request.count(key, -count)
                var key = key
                key.status = track.status
                request.count(key, count)
            }
        }
    }
}
