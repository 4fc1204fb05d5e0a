import Foundation
internal import GRDB

/// What is wrong with a store, in words that say where and what to do.
public struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// No file of that name, where one is only to be read.
        case missing
        case isFolder
        case denied
        /// Another process writes it.
        case inUse
        /// Not SQLite's, or not a store.
        case foreign
        /// Of a later version of the program.
        case newer
        /// Of an earlier version, and only to be read.
        case older
        case damaged
        /// One row of it cannot be read.
        case badRow
        case full
        /// Somebody else has held it for longer than the busy timeout.
        case busy
        /// Changed through an object that only reads.
        case readOnly
        case failed
    }

    public var kind: Kind
    /// Of the store.
    public var path: String
    /// A whole sentence but for its full stop.
    public var description: String

    init(_ kind: Kind, _ path: String, detail: String = "") {
        self.kind = kind
        self.path = path
        let cause = detail.isEmpty ? "" : ": \(detail)"
        description =
            switch kind {
            case .missing:
                "there is no tracking store '\(path)'\(cause)"
            case .isFolder:
                "'\(path)' is a folder and cannot be a tracking store; name a file in it"
            case .denied:
                "the tracking store '\(path)' may not be opened\(cause); its file and folder must"
                    + " belong to whoever uses it"
            case .inUse:
                "the tracking store '\(path)' is in use by another server\(cause); stop that one"
                    + " or name another store"
            case .foreign:
                "'\(path)' is no tracking store\(cause); name another file"
            case .newer:
                "the tracking store '\(path)' was written by a later version of han; use that one"
            case .older:
                "the tracking store '\(path)' was written by an earlier version of han; let a"
                    + " server open it once, which brings it up to date"
            case .damaged:
                "the tracking store '\(path)' is damaged\(cause); put back a copy of it, or move"
                    + " it away to begin anew"
            case .badRow:
                "the tracking store '\(path)' holds a row that cannot be read\(cause); mend or"
                    + " delete the row, or put back a copy of the store"
            case .full:
                "the tracking store '\(path)' cannot grow: the disk is full; make room, nothing of"
                    + " what was stored is lost"
            case .busy:
                "the tracking store '\(path)' is held by another program; try again when that has"
                    + " let go of it"
            case .readOnly:
                "the tracking store '\(path)' was opened to be read only"
            case .failed:
                "the tracking store '\(path)' cannot be used\(cause)"
            }
    }

    /// What SQLite says, put for people.
    init(_ error: DatabaseError, path: String) {
        let code = error.resultCode
        let words = error.message ?? code.description
        let kind: Kind =
            switch code {
            case .SQLITE_FULL: .full
            case .SQLITE_CORRUPT: .damaged
            case .SQLITE_NOTADB: .foreign
            case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
            case .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_AUTH: .denied
            default: .failed
            }
        self.init(kind, path, detail: kind == .foreign ? "it is no SQLite database" : words)
    }

    /// Runs `body`, whatever it throws being made a StoreError.
    static func converting<T>(at path: String, _ body: () throws -> T) throws(StoreError) -> T {
        do {
            return try body()
        } catch let error as StoreError {
            throw error
        } catch let error as BadRow {
            throw StoreError(.badRow, path, detail: error.detail)
        } catch let error as DatabaseError {
            throw StoreError(error, path: path)
        } catch {
            throw StoreError(.failed, path, detail: "\(error)")
        }
    }
}

/// A row whose content is not what the store writes.
struct BadRow: Error {
    /// Which one, and why.
    var detail: String
}
