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
        var told = 0
        for receipt in change.receipts {
            let before = max(told, min(receipt.position, change.tracks.count))
            for track in change.tracks[told..<before] { try apply(track) }
            told = before
            try apply(receipt)
        }
        for track in change.tracks[told...] { try apply(track) }
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
    /// One that was received stays so.
    func apply(_ mark: NoticeMark) throws {
        try execute(
            """
            UPDATE notice SET state = ?, attempts = ?, tried = ?
            WHERE number = ? AND state <> 'received'
            """, mark.state.rawValue, mark.attempts, wall, Int64(bitPattern: mark.number))
    }

    func apply(_ receipt: NoticeReceipt) throws {
        try apply(
            NoticeMark(number: receipt.number, state: .received, attempts: receipt.attempts))
        guard database.changesCount > 0 else { return }
        for track in receipt.tracks { try apply(track) }
    }
}

// MARK: Requests and devices

extension StoreWriter {
    private func insert(_ request: SubmittedRequest) throws {
        if let known = try open(request.id) {
            // What comes under an id that is known belongs to it: a signed pre-command.
            known.heard = Int64(request.received.secondsSince2000)
            let answer = Self.answer(to: request)
            guard !request.code.isError else {
                if request.isTaken {
                    try apply(answer)
                } else {
                    try insert(answer, request: known.number)
                }
                return
            }
            // What was refused before its id was used counts no more.
            if known.said == .refused { known.said = .submitted }
            try apply(answer)
            try execute(
                """
                UPDATE request SET code = ?, accepted = max(accepted, ?), refused = max(refused, ?)
                WHERE number = ?
                """, request.code.rawValue, request.accepted, request.refused, known.number)
            return
        }
        let answer = Self.answer(to: request)
        try make(request, status: answer.status)
        let number = database.lastInsertedRowID
        try insert(
            TrackingRecord(
                request: request.id, status: .submitted,
                detail: "\(request.variant) from \(request.user.dashed)",
                time: request.received), request: number)
        try insert(answer, request: number)
    }

    /// The DSP's own word of a request.
    private static func answer(to request: SubmittedRequest) -> TrackingRecord {
        let count = request.accepted + request.refused
        let words =
            request.code.isError
            ? "the DSP refuses it"
            : count == 0
                ? "the DSP takes it"
                : "the DSP lets in \(request.accepted) of \(count) "
                    + "device\(count == 1 ? "" : "s")"
        return TrackingRecord(
            request: request.id, status: request.code.isError ? .refused : .validated,
            detail: "\(words): \(request.code)", time: request.received)
    }

    private func make(_ request: SubmittedRequest, status: TrackingStatus) throws {
        let time = Int64(request.received.secondsSince2000)
        let received = milliseconds(request.receivedWall)
        let key = CountKey(
            type: request.type?.rawValue ?? "", manufacturer: request.manufacturer ?? "",
            version: request.fileVersion.map { Int64($0) } ?? -1, status: status)
        try execute(
            """
            INSERT INTO request VALUES
            (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)
            """, request.id.description, request.user.key, request.variant, request.version,
            key.version, request.image, key.manufacturer, request.model, key.type,
            request.code.rawValue, request.accepted, request.refused, status.rawValue,
            status.rawValue, time, received, time, wall)
        tally.add(1, .requests, key, user: request.user.key, time: time, wall: received)
        requests[request.id] = OpenRequest(
            number: database.lastInsertedRowID, user: request.user.key, time: time, wall: received,
            key: key, said: status)
        // Its user has that in the answer.
        requests[request.id]?.isTold = status == .refused
    }

    /// The request as it stands in this transaction; nil if it is not known.
    private func open(_ id: RequestID) throws -> OpenRequest? {
        if let request = requests[id] { return request }
        let name = "request '\(id)'"
        let statement = try database.cachedStatement(
            sql: """
                SELECT number, user, time, wall, type, manufacturer, fileVersion, status,
                reported IS NOT NULL, said FROM request WHERE id = ?
                """)
        guard let row = try Row.fetchOne(statement, arguments: [id.description]) else {
            return nil
        }
        var cells = Cells(row, name)
        let (number, user) = (try cells.integer(), try cells.integer())
        let (time, wall) = (try cells.integer(), try cells.integer())
        let request = OpenRequest(
            number: number, user: user, time: time, wall: wall, key: try CountKey(&cells),
            said: try cells.word())
        let standing = try database.cachedStatement(
            sql: "SELECT \(CountKey.columns), count FROM standing WHERE request = ?")
        for row in try Row.fetchAll(standing, arguments: [number]) {
            var cells = Cells(row, "the counts of \(name)")
            let key = try CountKey(&cells)
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
                INSERT INTO target VALUES
                (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)
                ON CONFLICT DO NOTHING
                """)
        targetInsertion = statement
        return statement
    }

    /// Nothing happens if the request has the device already.
    private func insert(_ target: SubmittedTarget, into request: OpenRequest) throws {
        var key = CountKey(
            type: target.type?.rawValue ?? "", manufacturer: target.manufacturer ?? "",
            version: target.toVersion.map { Int64($0) } ?? -1, status: target.status)
        // Its user has that in the answer.
        key.isReported = target.status == .refused || target.status == .carriedOut
        let time = Int64(target.time.secondsSince2000)
        try insertTarget().execute(arguments: [
            request.number, request.position, target.device.key, target.hub?.key, key.type,
            key.manufacturer, target.model, target.fromVersion.map { Int64($0) }, key.version,
            key.status.rawValue, target.reason ?? "", time, wall,
            key.isReported ? time : nil, key.isReported ? wall : nil,
        ])
        guard database.changesCount > 0 else { return }
        request.position += 1
        request.count(request.counted(key), 1)
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
                    INSERT INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET count = count + excluded.count
                    """, request.number, key.type, key.manufacturer, key.version,
                    key.status.rawValue, key.isReported, count)
                guard count < 0 else { continue }
                try execute(
                    """
                    DELETE FROM standing WHERE request = ? AND type = ? AND manufacturer = ?
                    AND version = ? AND status = ? AND reported = ? AND count = 0
                    """, request.number, key.type, key.manufacturer, key.version,
                    key.status.rawValue, key.isReported)
            }
            let sum = request.sum()
            guard sum != request.shown || request.heard != nil else { continue }
            if sum != request.shown {
                tally.add(-1, .requests, request.key, user: user, time: time, wall: request.wall)
                (request.key.status, request.key.isReported) = sum
                tally.add(1, .requests, request.key, user: user, time: time, wall: request.wall)
            }
            try execute(
                """
                UPDATE request SET said = ?, status = ?, updated = coalesce(?, updated),
                updatedWall = ? WHERE number = ?
                """, request.said.rawValue, sum.status.rawValue, request.heard, wall,
                request.number)
            guard sum.isReported != request.shown.isReported else { continue }
            try execute(
                "UPDATE request SET reported = ?, reportedWall = ? WHERE number = ?",
                sum.isReported ? request.heard ?? time : nil, sum.isReported ? wall : nil,
                request.number)
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
            if track.status == .reported { try reportElsewhere(request, by: track) }
            return
        }
        if track.status == .reported {
            request.isTold = request.said.isFinal
            if let notice = track.notice {
                try reportElsewhere(request, by: track)
                if try report(notice, of: request, id, by: track) { return }
            } else {
                try reportAll(of: request, by: track)
            }
        } else {
            if track.status.follows(request.said) {
                if track.status != request.said { request.isTold = false }
                request.said = track.status
            }
            try advanceAll(of: request, by: track)
        }
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
        guard let target = try find(device, of: request, id) else {
            try insert(
                SubmittedTarget(
                    request: id, device: device,
                    status: track.status == .reported ? .submitted : track.status,
                    reason: track.detail, time: track.time), into: request)
            return true
        }
        if track.status == .reported {
            try report(target, device, of: request, by: track)
            return true
        }
        var key = target.key
        guard track.isTakenBack || track.status.follows(key.status) else { return true }
        let isStep =
            track.status != .downloading || key.status != .downloading || track.message != nil
            || track.notice != nil
            || (track.percent ?? 0) / Self.step != (target.percent ?? 0) / Int64(Self.step)
        let isNew = key.status != track.status
        if isNew {
            request.count(key, -1)
            (key.status, key.isReported) = (track.status, false)
            request.count(key, 1)
        }
        try execute(
            """
            UPDATE target SET status = ?, percent = coalesce(?, percent), detail = ?, updated = ?,
            updatedWall = ?, reported = iif(?, NULL, reported),
            reportedWall = iif(?, NULL, reportedWall) WHERE request = ? AND position = ?
            """, track.status.rawValue,
            track.percent ?? (track.status == .downloading ? 0 : nil), track.detail,
            Int64(track.time.secondsSince2000), wall, isNew, isNew, request.number,
            target.position)
        return isStep
    }

    private func find(
        _ device: EUI64, of request: OpenRequest, _ id: RequestID
    ) throws -> (position: Int64, key: CountKey, percent: Int64?)? {
        let statement = try database.cachedStatement(
            sql: """
                SELECT position, type, manufacturer, version, status, reported IS NOT NULL, percent
                FROM target WHERE device = ? AND request = ?
                """)
        guard let row = try Row.fetchOne(statement, arguments: [device.key, request.number]) else {
            return nil
        }
        var cells = Cells(row, "device \(device) of request '\(id)'")
        let position = try cells.integer()
        let key = request.counted(try CountKey(&cells))
        return (position, key, try cells.optionalInteger())
    }

    /// A user has acknowledged a notice about a device: if that told of where the device stands
    /// now, and it is at an end, that has been reported.
    private func report(
        _ target: (position: Int64, key: CountKey, percent: Int64?), _ device: EUI64,
        of request: OpenRequest, by track: TrackingRecord
    ) throws {
        guard target.key.status.isFinal, !target.key.isReported else { return }
        let statement = try database.cachedStatement(
            sql: """
                SELECT status FROM hop WHERE request = ? AND device = ? AND notice = ?
                AND status <> 'reported' ORDER BY number DESC LIMIT 1
                """)
        let told = try String.fetchOne(
            statement,
            arguments: [
                request.number, device.key, track.notice.map { Int64(bitPattern: $0) },
            ])
        guard told == nil || told == target.key.status.rawValue else { return }
        var key = target.key
        request.count(key, -1)
        key.isReported = true
        request.count(key, 1)
        try execute(
            """
            UPDATE target SET reported = ?, reportedWall = ? WHERE request = ? AND position = ?
            """, Int64(track.time.secondsSince2000), wall, request.number, target.position)
    }

    /// A user has acknowledged a notice about several devices, whose hop it is then; false if it is
    /// about none.
    private func report(
        _ notice: UInt64, of request: OpenRequest, _ id: RequestID, by track: TrackingRecord
    ) throws -> Bool {
        let told = try Int64.fetchAll(
            database,
            sql: """
                SELECT DISTINCT device FROM hop WHERE request = ? AND notice = ?
                AND device IS NOT NULL
                """, arguments: [request.number, Int64(bitPattern: notice)])
        for key in told {
            let device = EUI64(UInt64(bitPattern: key))
            if let target = try find(device, of: request, id) {
                try report(target, device, of: request, by: track)
            }
            var hop = track
            hop.device = device
            try insert(hop, request: request.number)
        }
        return !told.isEmpty
    }

    /// A notice that answers one request may tell what came of another's device: an activation's
    /// does of the update.
    private func reportElsewhere(_ request: OpenRequest, by track: TrackingRecord) throws {
        guard let notice = track.notice else { return }
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT DISTINCT r.id, h.device FROM hop h JOIN request r ON r.number = h.request
                WHERE h.notice = ? AND h.request <> ? AND h.device IS NOT NULL
                ORDER BY h.request, h.device
                """, arguments: [Int64(bitPattern: notice), request.number])
        for row in rows {
            var cells = Cells(row, "what notice \(notice) tells")
            guard let id = try cells.optionalRequestID(), let device = try cells.optionalID() else {
                continue
            }
            let other = try opened(id, at: track.time)
            guard let target = try find(device, of: other, id) else { continue }
            other.heard = Int64(track.time.secondsSince2000)
            try report(target, device, of: other, by: track)
            var hop = track
            hop.device = device
            try insert(hop, request: other.number)
        }
    }

    /// A user has acknowledged a notice about a request: so it has for all devices that are at an
    /// end.
    private func reportAll(of request: OpenRequest, by track: TrackingRecord) throws {
        try moveAll(of: request, where: { $0.isFinal && !$1 }) { key in
            key.isReported = true
            return (
                "reported = ?, reportedWall = ?",
                [Int64(track.time.secondsSince2000).databaseValue, wall.databaseValue]
            )
        }
    }

    /// What is said of a request is said of all its devices that were let in.
    private func advanceAll(of request: OpenRequest, by track: TrackingRecord) throws {
        let new = track.status
        try moveAll(of: request, where: { old, _ in old != new && new.follows(old) }) { key in
            (key.status, key.isReported) = (new, false)
            return (
                """
                status = ?, detail = ?, updated = ?, updatedWall = ?, reported = NULL,
                reportedWall = NULL
                """,
                [
                    new.rawValue.databaseValue, track.detail.databaseValue,
                    Int64(track.time.secondsSince2000).databaseValue, wall.databaseValue,
                ]
            )
        }
    }

    /// Changes the devices that stand so, and what is counted of them, in the same way; `change`
    /// says how their columns change.
    private func moveAll(
        of request: OpenRequest, where stands: (TrackingStatus, _ isReported: Bool) -> Bool,
        _ change: (inout CountKey) -> (columns: String, values: [DatabaseValue])
    ) throws {
        request.settle()
        let moved = request.standing.filter {
            $0.value > 0 && stands($0.key.status, $0.key.isReported)
        }
        var done: Set<[DatabaseValue]> = []
        for (old, count) in moved {
            var key = old
            let (columns, values) = change(&key)
            request.count(old, -count)
            request.count(key, count)
            let of = [old.status.rawValue.databaseValue, old.isReported.databaseValue]
            guard done.insert(of).inserted else { continue }
            try database.cachedStatement(
                sql: """
                    UPDATE target SET \(columns) WHERE request = ? AND status = ?
                    AND (reported IS NOT NULL) = ?
                    """
            ).execute(
                arguments: StatementArguments(values + [request.number.databaseValue] + of))
        }
        request.settle()
    }
}
