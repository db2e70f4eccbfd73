create table job (id int primary key, v int);
insert into job select g, 0 from generate_series(1, 20) g;
grant all on job to public;
