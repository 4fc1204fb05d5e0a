import DCC
import Tracking

/// Where a head end keeps what must outlive it. A `TrackingStore`, but for tests.
public protocol HeadEndStore: Sendable {
    func load() throws -> StoredWorld
    func image(_ key: ImageKey) throws -> [UInt8]?
    /// All of it or nothing.
    func commit(_ change: StoreChange) throws
}

extension TrackingStore: HeadEndStore {}
