import DCC
internal import GRDB
import Wire

extension TrackingStore {
    /// Those that their users do not have yet, in the order in which they are to be sent; `states`
    /// says which.
    public func pendingNotices(
        for user: EUI64? = nil, limit: Int, states: Set<NoticeState> = [.pending, .kept],
        after number: UInt64 = 0
    ) throws(StoreError) -> [StoredNotice] {
        var all = Conditions()
        all.add("number > ?", Int64(bitPattern: number))
        // The condition of the index, in its words.
        if !states.contains(.received) { all.add("state <> 'received'") }
        all.add("state", isOneOf: states.map(\.rawValue))
        if let user { all.add("user = ?", user.key) }
        return try read { database in
            try database.rows(
                """
                SELECT \(StoredNotice.columns) FROM notice \(all.sql("WHERE"))
                ORDER BY number LIMIT \(limit.asLimit)
                """, all.values
            ).map { try StoredNotice($0) }
        }
    }

    /// Says what became of a notice; `wall` in seconds since 1970.
    public func mark(
        notice: UInt64, _ state: NoticeState, attempts: Int, wall: Double
    ) throws(StoreError) {
        var change = StoreChange(wall: wall)
        change.marks = [NoticeMark(number: notice, state: state, attempts: attempts)]
        try commit(change)
    }

    /// nil if there is none of that number.
    public func notice(_ number: UInt64) throws(StoreError) -> StoredNotice? {
        try read { database in
            try database.rows(
                "SELECT \(StoredNotice.columns) FROM notice WHERE number = ?",
                [Int64(bitPattern: number).databaseValue]
            ).first.map { try StoredNotice($0) }
        }
    }

    /// The last come first.
    public func notices(
        _ filter: NoticeFilter = NoticeFilter(), after key: PageKey? = nil, limit: Int = 50
    ) throws(StoreError) -> Page<StoredNotice> {
        let limit = limit.asLimit
        var all = Conditions()
        if let user = filter.user { all.add("user = ?", user.key) }
        if let request = filter.request { all.add("request = ?", request.description) }
        if let device = filter.device { all.add("device = ?", device.key) }
        if !filter.states.isEmpty { all.add("state", isOneOf: filter.states.map(\.rawValue)) }
        if let place = key?.places.first { all.add("number < ?", place) }
        return try read { database in
            page(
                try database.rows(
                    """
                    SELECT \(StoredNotice.columns) FROM notice \(all.sql("WHERE"))
                    ORDER BY number DESC LIMIT \(limit + 1)
                    """, all.values
                ).map { row in
                    let notice = try StoredNotice(row)
                    return (notice, PageKey(Int64(bitPattern: notice.number)))
                }, limit: limit)
        }
    }
}

extension StoredNotice {
    fileprivate static let columns = """
        number, user, bytes, summary, request, device, time, wall, state, attempts, tried
        """

    fileprivate init(_ row: Row) throws {
        var cells = Cells(row, "notice \(Cells.quoted(row, 0))")
        self.init(
            number: UInt64(bitPattern: try cells.integer()), user: try cells.id(),
            bytes: try cells.bytes(), summary: try cells.text(),
            request: try cells.optionalRequestID(), device: try cells.optionalID(),
            time: try cells.time(), wall: try cells.wall(), state: try cells.word(),
            attempts: try cells.count(), tried: try cells.optionalWall())
    }
}
