import DCC
internal import GRDB
import Wire

extension TrackingStore {
    /// Those received last come first, by the clock of the filter's period.
    public func requests(
        _ filter: TrackingFilter = TrackingFilter(), after key: PageKey? = nil, limit: Int = 50
    ) throws(StoreError) -> Page<RequestRow> {
        let limit = limit.asLimit
        var all = filter.ofRequestOrTargets()
        filter.addHours(to: &all)
        let column = filter.period.column
        if let key, key.places.count == 2 {
            all.add("(r.\(column), r.number) < (?, ?)", key.places[0], key.places[1])
        }
        let sql = """
            SELECT \(RequestRow.columns) FROM request r \(all.sql("WHERE"))
            ORDER BY r.\(column) DESC, r.number DESC LIMIT ?
            """
        return try read { database in
            page(
                try database.newest(
                    limit + 1, sql, all.values, of: filter, counted: nil, from: key
                ).map { row in
                    let (number, request) = try RequestRow.read(row, in: database)
                    let place: Int64 =
                        if case .wall = filter.period {
                            milliseconds(request.receivedWall)
                        } else {
                            Int64(request.received.secondsSince2000)
                        }
                    return (request, PageKey(place, number))
                }, limit: limit)
        }
    }

    /// nil if there is none of that id.
    public func request(_ id: RequestID) throws(StoreError) -> RequestRow? {
        try read { database in
            try database.rows(
                "SELECT \(RequestRow.columns) FROM request r WHERE r.id = ?",
                [id.description.databaseValue]
            ).first.map { try RequestRow.read($0, in: database).request }
        }
    }

    /// Those of the requests received last come first, and of one request in its order.
    public func targets(
        _ filter: TrackingFilter, after key: PageKey? = nil, limit: Int = 50
    ) throws(StoreError) -> Page<TargetRow> {
        let limit = limit.asLimit
        let column = filter.period.column
        var all = filter.ofRequestWithTargets()
        filter.addHours(to: &all)
        if let key, key.places.count == 3 {
            let (time, number, position) = (key.places[0], key.places[1], key.places[2])
            all.add(
                """
                r.\(column) <= ? AND (r.\(column) < ? OR r.number < ?
                OR r.number = ? AND t.position > ?)
                """, time, time, number, number, position)
        }
        let target = filter.ofTarget()
        // The order of the tables is the order in which they are gone through.
        let tables =
            filter.isOfTargets
            ? "target t CROSS JOIN request r ON r.number = t.request"
            : "request r CROSS JOIN target t ON t.request = r.number"
        let sql = """
            SELECT \(TargetRow.columns), r.number, r.\(column) FROM \(tables)
            \(all.sql("WHERE")) \(target.sql(all.isEmpty ? "WHERE" : "AND"))
            ORDER BY r.\(column) DESC, r.number DESC, t.position LIMIT ?
            """
        return try read { database in
            // Devices of one request follow each other, and there may be many.
            var last: (text: String, id: RequestID)?
            return page(
                try database.newest(
                    limit + 1, sql, all.values + target.values, of: filter, counted: .devices,
                    from: key
                ).map { row in
                    var cells = Cells(row, "a device of request \(Cells.quoted(row, 0))")
                    let target = try TargetRow(&cells, &last)
                    let (number, place) = (try cells.integer(), try cells.integer())
                    return (target, PageKey(place, number, Int64(target.position)))
                }, limit: limit)
        }
    }

    /// What was said of a device in a request, first things first, and with it what was said of
    /// the request as a whole; without a device only the latter. Without a request, what was said
    /// of the device outside all requests.
    public func timeline(
        of request: RequestID?, device: EUI64?, after key: PageKey? = nil, limit: Int = 500
    ) throws(StoreError) -> Page<HopRow> {
        let limit = limit.asLimit
        let after = (key?.places.first ?? 0).databaseValue
        let columns = """
            h.number, h.device, h.status, h.percent, h.detail, h.message, h.notice, h.time, h.wall
            """
        return try read { database in
            var parts: [String] = []
            var values: [DatabaseValue] = []
            func add(_ condition: String, _ places: DatabaseValue...) {
                parts.append("SELECT \(columns) FROM hop h WHERE \(condition) AND h.number > ?")
                values += places + [after]
            }
            if let request {
                let number = try Int64.fetchOne(
                    database, sql: "SELECT number FROM request WHERE id = ?",
                    arguments: [request.description])
                guard let number = number?.databaseValue else { return Page(rows: [], next: nil) }
                add("h.request = ? AND h.device IS NULL", number)
                if let device {
                    add("h.request = ? AND h.device = ?", number, device.key.databaseValue)
                }
            } else if let device {
                add("h.request IS NULL AND h.device = ?", device.key.databaseValue)
            } else {
                return Page(rows: [], next: nil)
            }
            let sql =
                parts.joined(separator: " UNION ALL ") + " ORDER BY 1 LIMIT \(limit + 1)"
            var all = page(
                try database.rows(sql, values).map { row in
                    let hop = try HopRow(row, request: request)
                    return (hop, PageKey(hop.number))
                }, limit: limit)
            if let request, let device, key == nil,
                let refusal = try database.refusal(of: device, in: request)
            {
                // Behind what was said of the request itself then.
                let place = all.rows.prefix {
                    $0.device == nil && [.submitted, .validated].contains($0.status)
                }.count
                all.rows.insert(refusal, at: place)
            }
            return all
        }
    }
}

extension Database {
    /// That the DSP has left a device out of a request. It stands with the device alone: there may
    /// be fifty thousand of them.
    fileprivate func refusal(of device: EUI64, in request: RequestID) throws -> HopRow? {
        let found = try rows(
            """
            SELECT t.detail, r.time, r.wall FROM target t JOIN request r ON r.number = t.request
            WHERE r.id = ? AND t.device = ? AND t.status = 'refused' AND t.detail <> ''
            """, [request.description.databaseValue, device.key.databaseValue])
        return try found.first.map { row in
            var cells = Cells(row, "a device of request '\(request)'")
            return HopRow(
                number: 0, request: request, device: device, status: .refused,
                detail: "the DSP leaves it out: \(try cells.text())", time: try cells.time(),
                wall: try cells.wall())
        }
    }
}

extension RequestRow {
    fileprivate static let columns = """
        r.number, r.id, r.user, r.variant, r.version, r.fileVersion, r.image, r.manufacturer,
        r.model, r.type, r.code, r.accepted, r.refused, r.status, r.time, r.wall, r.updated,
        r.updatedWall, r.reported, r.reportedWall
        """

    fileprivate static func read(
        _ row: Row, in database: Database
    ) throws -> (number: Int64, request: RequestRow) {
        let name = "request \(Cells.quoted(row, 1))"
        var cells = Cells(row, name)
        let number = try cells.integer()
        var request = RequestRow(
            id: try cells.requestID(), user: try cells.id(), variant: try cells.text(),
            version: try cells.optionalText(), fileVersion: try cells.version(),
            image: try cells.optionalText(), manufacturer: try cells.textOrNone(),
            model: try cells.optionalText(), type: try cells.optionalWord(),
            code: ResponseCode(rawValue: try cells.text()), accepted: try cells.count(),
            refused: try cells.count(), status: try cells.word(), received: try cells.time(),
            receivedWall: try cells.wall(), updated: try cells.time(),
            updatedWall: try cells.wall(), reported: try cells.optionalTime(),
            reportedWall: try cells.optionalWall(), counts: [:], reportedDevices: 0)
        let counts = try database.rows(
            "SELECT status, reported, sum(count) FROM standing WHERE request = ? GROUP BY 1, 2",
            [number.databaseValue])
        for row in counts {
            var cells = Cells(row, "the counts of \(name)")
            let (status, isReported) = (try cells.word() as TrackingStatus, try cells.flag())
            let count = try cells.count()
            request.counts[status, default: 0] += count
            if isReported { request.reportedDevices += count }
        }
        return (number, request)
    }
}

extension TargetRow {
    fileprivate static let columns = """
        r.id, r.variant, r.user, t.position, t.device, t.hub, t.type, t.manufacturer, t.model,
        t.fromVersion, t.version, t.status, t.percent, t.detail, t.updated, t.updatedWall,
        t.reported, t.reportedWall
        """

    /// `last` is the id of the row before, which need not be read again.
    fileprivate init(
        _ cells: inout Cells, _ last: inout (text: String, id: RequestID)?
    ) throws {
        self.init(
            request: try cells.requestID(&last), variant: try cells.text(), user: try cells.id(),
            position: try cells.count(), device: try cells.id(), hub: try cells.optionalID(),
            type: try cells.optionalWord(), manufacturer: try cells.textOrNone(),
            model: try cells.optionalText(), fromVersion: try cells.version(),
            toVersion: try cells.version(), status: try cells.word(),
            percent: try cells.optionalInteger().map { Int($0) }, detail: try cells.text(),
            updated: try cells.time(), updatedWall: try cells.wall(),
            reported: try cells.optionalTime(), reportedWall: try cells.optionalWall())
    }
}

extension HopRow {
    fileprivate init(_ row: Row, request: RequestID?) throws {
        var cells = Cells(row, "hop \(Cells.quoted(row, 0))")
        self.init(
            number: try cells.integer(), request: request, device: try cells.optionalID(),
            status: try cells.word(), percent: try cells.optionalInteger().map { Int($0) },
            detail: try cells.text(), message: try cells.optionalBytes(),
            notice: try cells.optionalInteger().map { UInt64(bitPattern: $0) },
            time: try cells.time(), wall: try cells.wall())
    }
}
