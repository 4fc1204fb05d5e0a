import DCC
import Foundation
internal import GRDB
import Wire

/// What a store may be told about its file.
public struct StoreSettings: Hashable, Sendable {
    public enum Synchronous: String, CaseIterable, Hashable, Sendable {
        /// What is committed outlives the process, and the last of it perhaps not a power cut.
        case normal
        /// It outlives a power cut too, at the price of waiting for the disk at each commit.
        case full
    }

    public var synchronous = Synchronous.normal
    /// How long another program's hold on the file is waited for, in seconds.
    public var busyTimeout = 5.0
    /// Requests that nothing has been heard of for so many days (of wall time), and that are done
    /// with, are forgotten by `prune`; none forgets nothing.
    public var retentionDays: Int?
    /// How large the file may become, in bytes; none for as large as there is room.
    public var maximumSize: Int?

    public init() {}
}

/// Everything that must outlive the server's process, in one SQLite file: the DCC's records, the
/// images, the flash memory of all nodes, the notices for users, and the tracking of every request.
///
/// One process writes it; any number may read it meanwhile, each seeing what was committed when its
/// query began. Methods block until the file has been read or written and may be called from any
/// thread.
public final class TrackingStore: Sendable {
    public let path: String
    public let settings: StoreSettings
    let reader: any DatabaseReader
    /// nil if it is only read.
    let writer: DatabasePool?
    private let lock: StoreLock?

    /// Opens the store, and unless it is only to be read makes it if it is not there, or brings it
    /// up to date.
    public init(
        path: String, readOnly: Bool = false, settings: StoreSettings = StoreSettings()
    ) throws(StoreError) {
        self.path = path
        self.settings = settings
        try StoreFile.check(path, readOnly: readOnly)
        lock = readOnly ? nil : try StoreLock(of: path)
        if !readOnly { try StoreFile.create(path) }
        var configuration = Configuration()
        configuration.label = "tracking"
        let patience = settings.busyTimeout
        configuration.busyMode = .timeout(patience.isFinite ? min(max(patience, 0), 3600) : 3600)
        configuration.foreignKeysEnabled = false
        configuration.maximumReaderCount = 4
        configuration.readonly = true
        let glance = try StoreError.converting(at: path) {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.read { try StoreSchema.check($0, path: path, readOnly: readOnly) }
            return queue
        }
        if readOnly {
            (reader, writer) = (glance, nil)
            return
        }
        configuration.readonly = false
        let largest = settings.maximumSize
        configuration.prepareDatabase { database in
            guard let largest else { return }
            let size = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096
            try database.execute(sql: "PRAGMA max_page_count = \(max(1, largest / max(1, size)))")
        }
        let isFull = settings.synchronous == .full
        let pool = try StoreError.converting(at: path) {
            let pool = try DatabasePool(path: path, configuration: configuration)
            try StoreSchema.migrator.migrate(pool)
            if isFull {
                try pool.writeWithoutTransaction {
                    try $0.execute(sql: "PRAGMA synchronous = FULL")
                }
            }
            return pool
        }
        (reader, writer) = (pool, pool)
    }

    /// Closes the file and lets others write it. Nothing of the store may be used afterwards.
    public func close() throws(StoreError) {
        defer { lock?.release() }
        try StoreError.converting(at: path) { try reader.close() }
    }

    /// Runs a query on what has been committed.
    func read<T>(_ body: (Database) throws -> T) throws(StoreError) -> T {
        try StoreError.converting(at: path) { try reader.read(body) }
    }

    /// Runs `body` in one transaction, of which nothing stays if it throws.
    func write<T>(_ body: (Database) throws -> T) throws(StoreError) -> T {
        guard let writer else { throw StoreError(.readOnly, path) }
        return try StoreError.converting(at: path) { try writer.write(body) }
    }
}

// MARK: The world

extension TrackingStore {
    /// Writes all of it in one transaction; if it throws, nothing of it is stored, and the store
    /// can be used as before.
    public func commit(_ change: StoreChange) throws(StoreError) {
        guard !change.isEmpty else { return }
        try write { try StoreWriter($0, wall: change.wall).apply(change) }
    }

    /// What the world begins again with.
    public func load() throws(StoreError) -> StoredWorld {
        try read { try StoredWorld(reading: $0) }
    }

    /// The world's virtual time at the last commit; nil in a store that is new.
    public func clock() throws(StoreError) -> UTCTime? {
        try read { database in
            guard let row = try Row.fetchOne(database, sql: "SELECT clock FROM world") else {
                return nil
            }
            var cells = Cells(row, "the world's clock")
            return try cells.optionalTime()
        }
    }

    public func image(_ key: ImageKey) throws(StoreError) -> [UInt8]? {
        try read { database in
            try Row.fetchOne(
                database, sql: "SELECT bytes FROM image WHERE key = ?", arguments: [key]
            )
            .map { row in
                var cells = Cells(row, "image '\(key)'")
                return try cells.bytes()
            }
        }
    }
}
