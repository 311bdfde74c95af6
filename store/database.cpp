// store/database.cpp
